import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { LastcallError } from '../domain/errors.ts';
import { isBelow, raisedFloor, type ServerIdentity } from '../domain/server-identity.ts';
import { clientUrl } from './client-url.ts';
import { Expiry } from './expiry.ts';
import { type FoundPrimary, findPrimary, hostLabel, hostUrls, identityOf } from './find-primary.ts';
import { type HostSighting, HostWatch } from './host-watch.ts';
import { isDatabaseLoss, translatePostgresError } from './postgres-error.ts';
import { typeParsers } from './postgres-types.ts';
import { PreparedStatements } from './prepared-statements.ts';

export interface DatabaseOptions {
  /** One or several hosts; whichever is the primary is used, and looked for again when it is lost. */
  readonly url: string;
  readonly applicationName: string;
  readonly maxConnections?: number;
  readonly connectTimeoutMs?: number;
  /** The newest timeline that anybody at this site has seen, remembered beyond this process (rule 28). */
  readonly floor?: PrimaryFloor;
  /** Called once a change: found, lost. The search's own failures climb through `attempt`. */
  readonly onState?: (state: DatabaseState & { readonly attempt: number }) => void;
}

/** Where the newest timeline of the site is remembered. Neither may throw. */
export interface PrimaryFloor {
  current(): ServerIdentity | null;
  raise(seen: ServerIdentity): void;
}

export type DatabaseState =
  | { readonly state: 'up'; readonly host: string }
  | { readonly state: 'down'; readonly reason: string; readonly host: string };

export interface Queryable {
  /**
   * Rows of one statement, planned once a connection: `text` must come from a bounded set. `values` that depend on the
   * moment of sending are made then. Throws `LastcallError`.
   */
  query<R extends object>(text: string, values?: Values, budgetMs?: number): Promise<R[]>;
}

export type Values = readonly unknown[] | (() => readonly unknown[]);

const made = (values: Values): readonly unknown[] => (typeof values === 'function' ? values() : values);

/** The pool of one primary. */
interface Primary extends FoundPrimary {
  readonly pool: pg.Pool;
}

const SEARCH_FIRST_MS = 50;
const SEARCH_LONGEST_MS = 2_000;
const DEFAULT_BUDGET_MS = 10_000;
/** A failover is over in ten seconds, with a million rows. */
const UNPROVEN_MS = 60_000;
const CONNECT_TIMEOUT_MS = 2_000;
const GOODBYE_MS = 1_000;
const WATCH_MS = 1_000;

/**
 * The site's database, wherever its primary is. While there is none, every query fails at once with
 * `DATABASE_UNREACHABLE` (the circuit is open) and one background search looks for it; nothing waits for a dead server.
 * One broken connection or one late answer is not yet a lost server: it makes this class ask the server itself.
 * Of several hosts each is asked every second who it is: a promoted one is moved to at once, though the old primary still
 * answers, and what the old one answers from then on counts for nothing (rule 28).
 */
export class Database implements Queryable {
  readonly #options: DatabaseOptions;
  readonly #types = typeParsers();
  readonly #statements = new PreparedStatements();
  #primary: Primary | null = null;
  #foundAtMs = Number.NEGATIVE_INFINITY;
  #state: DatabaseState;
  #searching: Promise<void> | null = null;
  #asking = false;
  /** Answers so far; any of them while the server is being asked is proof that it lives. */
  #answers = 0;
  readonly #closed = new AbortController();
  readonly #watch: HostWatch;
  #floor: ServerIdentity | null = null;
  #rivals: readonly string[] = [];

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#watch = new HostWatch({
      urls: hostUrls(options.url),
      everyMs: WATCH_MS,
      timeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      onRound: (sightings) => this.#onRound(sightings),
    });
    this.#state = { state: 'down', reason: 'not connected yet', host: hostLabel(options.url) };
  }

  get state(): DatabaseState {
    return this.#state;
  }

  /** Where the primary is now; null while there is none. */
  get primaryUrl(): string | null {
    return this.#primary?.url ?? null;
  }

  /** Found so lately that it may lack what a failover, or a heal, has not brought back yet. */
  get isUnproven(): boolean {
    return performance.now() - this.#foundAtMs < UNPROVEN_MS;
  }

  /** Other hosts of the site that take writes as well: an old primary that nobody has stopped. */
  get rivals(): readonly string[] {
    return this.#rivals;
  }

  /** Begins the search; resolves when the primary is found, rejects when `signal` or `close` ends the wait. */
  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (hostUrls(this.#options.url).length > 1) this.#watch.start();
    const search = this.#search();
    if (signal === undefined) return search;
    let giveUp = () => {};
    const aborted = new Promise<never>((_, reject) => {
      giveUp = () => reject(signal.reason as Error);
      signal.addEventListener('abort', giveUp, { once: true });
    });
    await Promise.race([search, aborted]).finally(() => signal.removeEventListener('abort', giveUp));
  }

  async query<R extends object>(
    text: string,
    values: Values = [],
    budgetMs = DEFAULT_BUDGET_MS,
  ): Promise<R[]> {
    return this.#withClient(budgetMs, (client) => this.#statements.run<R>(client, text, made(values)));
  }

  /** One transaction. Rolled back when `work` throws; the error is a `LastcallError`. */
  async transaction<T>(work: (client: Queryable) => Promise<T>, budgetMs = DEFAULT_BUDGET_MS): Promise<T> {
    return this.#withClient(budgetMs, async (client) => {
      await client.query('BEGIN');
      try {
        const result = await work({ query: (text, values = []) => translated(client, text, made(values)) });
        await client.query('COMMIT');
        return result;
      } catch (error) {
        await client.query('ROLLBACK').catch(() => {});
        throw error;
      }
    });
  }

  /** Drops the connections and looks for the primary again: after a promotion that no error has shown yet. */
  rediscover(reason: string): void {
    if (this.#primary !== null) this.#lose(this.#primary, reason);
  }

  /** Waits for running statements, but for a mute server no longer than a second. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#watch.stop();
    const primary = this.#primary;
    this.#primary = null;
    this.#state = { state: 'down', reason: 'closed', host: this.#state.host };
    const goodbye = delay(GOODBYE_MS, undefined, { ref: false });
    await Promise.race([primary?.pool.end().catch(() => {}), goodbye]);
  }

  async #withClient<T>(budgetMs: number, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const primary = this.#primary;
    if (primary === null) throw this.#unreachable();
    const expiry = new Expiry(budgetMs);
    let client: pg.PoolClient | null = null;
    try {
      client = await expiry.race(this.#lend(primary.pool, expiry));
      const result = await expiry.race(work(client));
      // Moved meanwhile: what the old primary took, the new one does not have.
      if (primary !== this.#primary && !this.#closed.signal.aborted) throw this.#unreachable();
      this.#answers++;
      release(client, false);
      return result;
    } catch (cause) {
      const error = translatePostgresError(cause);
      // A client whose answer is still outstanding can serve nobody else.
      if (client !== null) release(client, expiry.expired || isDatabaseLoss(error));
      const mute = expiry.expired || (error.code === 'DATABASE_TIMEOUT' && !('sqlstate' in error.details));
      if (mute || isDatabaseLoss(error)) this.#askServer(primary, error.message);
      else this.#answers++;
      throw error;
    } finally {
      expiry.cancel();
    }
  }

  /** A client for the caller; one that comes too late goes back unused. */
  async #lend(pool: pg.Pool, expiry: Expiry): Promise<pg.PoolClient> {
    const client = await pool.connect();
    // While lent, the pool listens no more, and an error without a listener would end the process.
    client.on('error', ignore);
    if (expiry.expired) release(client, false);
    return client;
  }

  /** Is this still a primary that answers? If not, the circuit opens and the search begins. */
  #askServer(primary: Primary, suspicion: string): void {
    if (this.#asking || primary !== this.#primary) return;
    this.#asking = true;
    const answersBefore = this.#answers;
    identityOf(primary.url, this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS)
      .then(
        (identity) => {
          if (identity === null) this.#lose(primary, 'the server has become a standby');
        },
        (cause) => {
          if (this.#answers !== answersBefore) return;
          const { message } = translatePostgresError(cause);
          this.#lose(primary, message === suspicion ? message : `${suspicion}; ${message}`);
        },
      )
      .finally(() => {
        this.#asking = false;
      });
  }

  /** Rule 28: the newest timeline wins, at once and though nothing has failed. */
  #onRound(sightings: readonly HostSighting[]): void {
    const primaries = sightings.flatMap(({ url, identity }) =>
      identity === null ? [] : [{ url, identity }],
    );
    for (const { identity } of primaries) this.#raise(identity);
    const primary = this.#primary;
    if (primary === null) return;
    const current = sightings.find(({ url }) => url === primary.url);
    this.#rivals = primaries.filter(({ url }) => url !== primary.url).map(({ url }) => hostLabel(url));
    if (current?.state === 'standby') this.#lose(primary, 'the server has become a standby');
    else if (isBelow(current?.identity ?? primary.identity, this.#lowest()))
      this.#lose(primary, 'another server was promoted past this one');
  }

  #raise(seen: ServerIdentity): void {
    this.#floor = raisedFloor(this.#floor, seen);
    this.#options.floor?.raise(seen);
  }

  /** What this process or any other of the site has seen. */
  #lowest(): ServerIdentity | null {
    const remembered = this.#options.floor?.current() ?? null;
    return remembered === null ? this.#floor : raisedFloor(this.#floor, remembered);
  }

  #lose(primary: Primary, reason: string): void {
    if (primary !== this.#primary) return;
    this.#primary = null;
    this.#enter({ state: 'down', reason, host: this.#state.host }, 0);
    void primary.pool.end().catch(() => {});
    void this.#search().catch(() => {});
  }

  #search(): Promise<void> {
    if (this.#primary !== null) return Promise.resolve();
    this.#searching ??= this.#searchLoop().finally(() => {
      this.#searching = null;
    });
    return this.#searching;
  }

  async #searchLoop(): Promise<void> {
    const { url, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.#options;
    for (let attempt = 1; ; attempt++) {
      this.#closed.signal.throwIfAborted();
      try {
        const found = await findPrimary(url, connectTimeoutMs, this.#lowest());
        this.#closed.signal.throwIfAborted();
        this.#raise(found.identity);
        this.#open(found, attempt);
        return;
      } catch (error) {
        this.#closed.signal.throwIfAborted();
        const { message, details } = translatePostgresError(error);
        const reason = details['leftBehind'] === true ? `${message}: ${details['reason']}` : message;
        this.#enter({ state: 'down', reason, host: hostLabel(url) }, attempt);
      }
      const longest = Math.min(SEARCH_LONGEST_MS, SEARCH_FIRST_MS * 2 ** Math.min(attempt, 10));
      await delay(longest * (0.5 + Math.random() / 2), undefined, { signal: this.#closed.signal });
    }
  }

  #open(found: FoundPrimary, attempt: number): void {
    const { url } = found;
    const { applicationName, maxConnections = 10, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.#options;
    const pool = new pg.Pool({
      connectionString: clientUrl(url),
      application_name: applicationName,
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
      types: this.#types,
    });
    const primary = { ...found, pool };
    pool.on('error', (error) => this.#askServer(primary, error.message));
    this.#primary = primary;
    this.#foundAtMs = performance.now();
    this.#enter({ state: 'up', host: hostLabel(url) }, attempt);
  }

  #enter(state: DatabaseState, attempt: number): void {
    this.#state = state;
    this.#options.onState?.({ ...state, attempt });
  }

  #unreachable(): LastcallError {
    const reason = this.#state.state === 'down' ? this.#state.reason : 'closed';
    return new LastcallError('DATABASE_UNREACHABLE', { details: { host: this.#state.host, reason } });
  }
}

function ignore(): void {}

function release(client: pg.PoolClient, broken: boolean): void {
  client.release(broken);
  client.off('error', ignore);
}

async function translated<R extends object>(
  client: pg.PoolClient,
  text: string,
  values: readonly unknown[] = [],
): Promise<R[]> {
  try {
    return (await client.query<R>(text, values as unknown[])).rows;
  } catch (cause) {
    throw translatePostgresError(cause);
  }
}
