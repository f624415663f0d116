import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { clientUrl } from './client-url.ts';

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
const PROBE = 'probe:';
const LOOK_MS = 500;
const PROBE_MS = 1_000;
const PROBE_TIMEOUT_MS = 5_000;
/** How old the last proof may be: a probe that was sent then has come back. */
const PROVEN_MS = 2_500;

/**
 * Hears from the site's primary, wherever it is, of each terminal that changes there, by its own writers or by replication.
 * Never throws; while nobody can be heard it keeps looking. Each second it tells itself something: a pooler that shares
 * sessions takes LISTEN and passes nothing on, and a dead link says nothing either. Then it does not claim to hear.
 */
export class TerminalWatch {
  readonly #options: TerminalWatchOptions;
  #client: pg.Client | null = null;
  #url: string | null = null;
  #looking: NodeJS.Timeout | undefined;
  #probedAt = 0;
  #probe: string | null = null;
  #provenAt = Number.NEGATIVE_INFINITY;
  #epoch = 0;
  #stopped = false;

  constructor(options: TerminalWatchOptions) {
    this.#options = options;
  }

  /** Whether each change is heard now, within some milliseconds. */
  get hears(): boolean {
    return performance.now() - this.#provenAt < PROVEN_MS;
  }

  /** Another number each time that changes may have gone unheard. */
  get epoch(): number {
    return this.#epoch;
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
      this.#sendProbe(this.#client);
  }

  async #listen(url: string): Promise<void> {
    const client = new pg.Client({
      connectionString: clientUrl(url),
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
      if (this.#client !== client) return;
      this.#unheard();
      this.#sendProbe(client);
    } catch {
      this.#drop(client);
    }
  }

  #hear(payload: string): void {
    if (payload === '') this.#unheard();
    else if (payload.startsWith(PROBE)) {
      if (payload === this.#probe) this.#provenAt = this.#probedAt;
    } else this.#options.onChange(JSON.parse(payload) as TerminalChange);
  }

  #unheard(): void {
    this.#epoch++;
    this.#options.onUnheard();
  }

  #sendProbe(client: pg.Client): void {
    this.#probedAt = performance.now();
    this.#probe = `${PROBE}${randomUUID()}`;
    client.query('SELECT pg_notify($1, $2)', [CHANNEL, this.#probe]).catch(() => this.#drop(client));
  }

  #drop(client: pg.Client | null): void {
    if (client === null) return;
    if (this.#client === client) {
      this.#client = null;
      this.#provenAt = Number.NEGATIVE_INFINITY;
    }
    client.end().catch(() => {});
  }
}
