import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { LastcallError } from '../domain/errors.ts';
import { findPrimary, hostLabel } from './find-primary.ts';
import { isDatabaseLoss, translatePostgresError } from './postgres-error.ts';
import { typeParsers } from './postgres-types.ts';

export interface DatabaseOptions {
  /** One or several hosts; whichever is the primary is used, and looked for again when it is lost. */
  readonly url: string;
  readonly applicationName: string;
  readonly maxConnections?: number;
  readonly connectTimeoutMs?: number;
  /** Called once a change: found, lost. The search's own failures climb through `attempt`. */
  readonly onState?: (state: DatabaseState & { readonly attempt: number }) => void;
}

export type DatabaseState =
  | { readonly state: 'up'; readonly host: string }
  | { readonly state: 'down'; readonly reason: string; readonly host: string };

export interface Queryable {
  /** Rows of one statement. Throws `LastcallError`. */
  query<R extends object>(text: string, values?: readonly unknown[], budgetMs?: number): Promise<R[]>;
}

const SEARCH_FIRST_MS = 50;
const SEARCH_LONGEST_MS = 2_000;
const DEFAULT_BUDGET_MS = 10_000;
/** A server that answers nothing is as good as lost, though no socket says so. */
const TIMEOUTS_UNTIL_LOST = 3;

/**
 * The site's database, wherever its primary is. While there is none, every query fails at once with
 * `DATABASE_UNREACHABLE` (the circuit is open) and one background search looks for it; nothing waits for a dead server.
 */
export class Database implements Queryable {
  readonly #options: DatabaseOptions;
  readonly #types = typeParsers();
  #pool: pg.Pool | null = null;
  #state: DatabaseState;
  #searching: Promise<void> | null = null;
  #timeouts = 0;
  readonly #closed = new AbortController();

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#state = { state: 'down', reason: 'not connected yet', host: hostLabel(options.url) };
  }

  get state(): DatabaseState {
    return this.#state;
  }

  /** Begins the search; resolves when the primary is found, rejects only when `signal` or `close` ends it. */
  async start(signal?: AbortSignal): Promise<void> {
    await this.#search();
    signal?.throwIfAborted();
  }

  async query<R extends object>(text: string, values: readonly unknown[] = [], budgetMs = DEFAULT_BUDGET_MS): Promise<R[]> {
    return this.#withClient(budgetMs, async (client) => (await client.query<R>(text, values as unknown[])).rows);
  }

  /** One transaction. Rolled back when `work` throws; the error is a `LastcallError`. */
  async transaction<T>(work: (client: Queryable) => Promise<T>, budgetMs = DEFAULT_BUDGET_MS): Promise<T> {
    return this.#withClient(budgetMs, async (client) => {
      await client.query('BEGIN');
      try {
        const result = await work({
          query: async <R extends object>(text: string, values: readonly unknown[] = []) =>
            (await client.query<R>(text, values as unknown[])).rows,
        });
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
    this.#lost(reason);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    const pool = this.#pool;
    this.#pool = null;
    await pool?.end().catch(() => {});
  }

  async #withClient<T>(budgetMs: number, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const pool = this.#pool;
    if (pool === null) throw this.#unreachable();
    let client: pg.PoolClient | null = null;
    let timer: NodeJS.Timeout | undefined;
    let expired = false;
    const expiry = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        expired = true;
        reject(new LastcallError('DATABASE_TIMEOUT', { details: { budgetMs } }));
      }, budgetMs);
    });
    try {
      const acquired = pool.connect();
      acquired.then((late) => expired && client === null && late.release(true)).catch(() => {});
      client = await Promise.race([acquired, expiry]);
      const result = await Promise.race([work(client), expiry]);
      this.#timeouts = 0;
      client.release();
      return result;
    } catch (cause) {
      const error = translatePostgresError(cause);
      // A client whose answer is still outstanding can serve nobody else.
      client?.release(expired || isDatabaseLoss(error));
      this.#judge(pool, error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #judge(pool: pg.Pool, error: LastcallError): void {
    this.#timeouts = error.code === 'DATABASE_TIMEOUT' ? this.#timeouts + 1 : 0;
    const lost = isDatabaseLoss(error) || this.#timeouts >= TIMEOUTS_UNTIL_LOST;
    if (lost && pool === this.#pool) this.#lost(error.message);
  }

  #lost(reason: string): void {
    const pool = this.#pool;
    if (pool === null) return;
    this.#pool = null;
    this.#timeouts = 0;
    this.#enter({ state: 'down', reason, host: this.#state.host }, 0);
    void pool.end().catch(() => {});
    void this.#search().catch(() => {});
  }

  #search(): Promise<void> {
    this.#searching ??= this.#searchLoop().finally(() => {
      this.#searching = null;
    });
    return this.#searching;
  }

  async #searchLoop(): Promise<void> {
    const { url, connectTimeoutMs = 2_000 } = this.#options;
    for (let attempt = 1; ; attempt++) {
      this.#closed.signal.throwIfAborted();
      try {
        this.#open(await findPrimary(url, connectTimeoutMs), attempt);
        return;
      } catch (error) {
        this.#enter({ state: 'down', reason: translatePostgresError(error).message, host: hostLabel(url) }, attempt);
      }
      const longest = Math.min(SEARCH_LONGEST_MS, SEARCH_FIRST_MS * 2 ** Math.min(attempt, 10));
      await delay(longest * (0.5 + Math.random() / 2), undefined, { signal: this.#closed.signal });
    }
  }

  #open(primaryUrl: string, attempt: number): void {
    const { applicationName, maxConnections = 10, connectTimeoutMs = 2_000 } = this.#options;
    const pool = new pg.Pool({
      connectionString: primaryUrl,
      application_name: applicationName,
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
      types: this.#types,
    });
    pool.on('error', (error) => pool === this.#pool && this.#lost(error.message));
    this.#pool = pool;
    this.#enter({ state: 'up', host: hostLabel(primaryUrl) }, attempt);
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
