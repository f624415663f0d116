import pg from 'pg';

interface TerminalNames {
  readonly username: string;
  readonly number: string;
  readonly aor: string;
}

/** A terminal that was changed, disabled or removed at any site, as this site's database sees it from now on. */
export interface TerminalChange {
  readonly terminalId: number;
  /** What it was and is called. */
  readonly names: readonly TerminalNames[];
  /** Null: removed. */
  readonly now: (TerminalNames & { readonly enabled: boolean }) | null;
}

export interface TerminalWatchOptions {
  readonly database: { readonly primaryUrl: string | null };
  readonly applicationName: string;
  readonly onChange: (change: TerminalChange) => void;
  /** From here on changes are heard: what came before, or was too long to be told, is to be read again. */
  readonly onUnheard: () => void;
}

const CHANNEL = 'lastcall_terminals';
const LOOK_MS = 500;
const PROBE_MS = 5_000;
const PROBE_TIMEOUT_MS = 5_000;

/**
 * Hears from the site's primary, wherever it is, of each terminal that changes there, by its own writers or by replication.
 * Never throws; while nobody can be heard it keeps looking. A pooler that shares sessions passes no notifications on:
 * then only what `onUnheard` reads again helps.
 */
export class TerminalWatch {
  readonly #options: TerminalWatchOptions;
  #client: pg.Client | null = null;
  #url: string | null = null;
  #looking: NodeJS.Timeout | undefined;
  #probedAt = 0;
  #stopped = false;

  constructor(options: TerminalWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref();
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#looking);
    this.#drop(this.#client);
  }

  #look(): void {
    const { primaryUrl } = this.#options.database;
    if (this.#client !== null && primaryUrl !== this.#url) this.#drop(this.#client);
    if (this.#client === null && primaryUrl !== null && !this.#stopped) void this.#listen(primaryUrl);
    else if (this.#client !== null && performance.now() - this.#probedAt > PROBE_MS)
      this.#probe(this.#client);
  }

  async #listen(url: string): Promise<void> {
    const client = new pg.Client({
      connectionString: url,
      application_name: this.#options.applicationName,
      connectionTimeoutMillis: PROBE_TIMEOUT_MS,
      query_timeout: PROBE_TIMEOUT_MS,
    });
    this.#client = client;
    this.#url = url;
    this.#probedAt = performance.now();
    client.on('error', () => this.#drop(client));
    client.on('end', () => this.#drop(client));
    client.on('notification', ({ payload }) => this.#hear(payload ?? ''));
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      if (this.#client === client) this.#options.onUnheard();
    } catch {
      this.#drop(client);
    }
  }

  #hear(payload: string): void {
    if (payload === '') this.#options.onUnheard();
    else this.#options.onChange(JSON.parse(payload) as TerminalChange);
  }

  /** A connection that died without a word would leave this one waiting for ever. */
  #probe(client: pg.Client): void {
    this.#probedAt = performance.now();
    client.query('SELECT').catch(() => this.#drop(client));
  }

  #drop(client: pg.Client | null): void {
    if (client === null) return;
    if (this.#client === client) this.#client = null;
    client.end().catch(() => {});
  }
}
