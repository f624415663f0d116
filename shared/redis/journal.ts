import { type Job, UnrecoverableError, type Worker } from 'bullmq';
import { LastcallError } from '../domain/errors.ts';
import { type LastCalls, mergeLastCalls } from '../domain/last-calls.ts';
import type { Logger } from '../runtime/logger.ts';
import type { RedisConnection } from './connect.ts';
import { JournalMemory } from './journal-memory.ts';
import { type JournalEntry, JournalQueue } from './journal-queue.ts';
import { JournalState } from './journal-state.ts';
import { closeQueue } from './queues.ts';
import { translateRedisError } from './redis-error.ts';

export interface JournalOptions {
  readonly redis: RedisConnection;
  readonly url: string;
  readonly site: string;
  /** Terminals whose records are held in memory at most while Redis is away too. */
  readonly memoryRows: number;
  readonly appendTimeoutMs: number;
  /** Writes rows into the table with their own dates, idempotently; throws `LastcallError`. */
  readonly apply: (rows: readonly LastCalls[]) => Promise<void>;
  readonly log: Logger;
}

/** `redis`: survives this process. `memory`: PostgreSQL and Redis are both away, and only this process holds it. */
export type Kept = 'redis' | 'memory';

/** What waits for the database: terminals in Redis and in memory, and the age of the oldest record in milliseconds. */
export interface JournalDepth {
  readonly redis: number;
  readonly memory: number;
  readonly oldestAgeMs: number;
}

const WATCH_MS = 1_000;
/** Longer than any lookup may take. */
const RETIRE_MS = 1_000;

/**
 * Records of the time without PostgreSQL (R12): a BullMQ queue that drains in order when the database is back, and the
 * latest state per terminal, which reads use as one more source (C8). Applying is newer-wins, so a job that runs twice,
 * after a kill -9 in the middle, changes nothing.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #queue: JournalQueue;
  readonly #state: JournalState;
  readonly #memory: JournalMemory;
  #worker: Worker<JournalEntry> | null = null;
  #draining = false;
  #flushing: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** What Redis said last, null before it said anything; while it is away this decides whether it may hold something unseen. */
  #lastCount: number | null = null;
  #oldestMs: number | null = null;
  readonly #retiring = new Set<NodeJS.Timeout>();

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#queue = new JournalQueue(options);
    this.#state = new JournalState(options.redis, options.site);
    this.#memory = new JournalMemory(options.memoryRows);
  }

  start(): void {
    this.#timer = setInterval(() => void this.#watch(), WATCH_MS);
    this.#options.redis.onReady(() => void this.#watch());
  }

  /** Lets the journal drain, or stops it: called with every change of the database's state. */
  setDraining(draining: boolean): void {
    this.#draining = draining;
    if (draining) {
      this.#worker ??= this.#startWorker();
      void this.#worker.resume();
      void this.#flushMemory();
    } else void this.#worker?.pause(true).catch(() => {});
  }

  /** Keeps rows of distinct terminals. Rejects with `JOURNAL_FULL` when there is no place left: nothing was kept. */
  async append(rows: readonly LastCalls[]): Promise<Kept> {
    if (this.#options.redis.state.state === 'up') {
      try {
        await this.#appendToRedis(rows);
        return 'redis';
      } catch (cause) {
        const err = translateRedisError(cause);
        this.#options.log.warn(
          { err, rows: rows.length },
          'journal not reachable, keeping records in memory',
        );
      }
    }
    this.#memory.add(rows, Date.now());
    return 'memory';
  }

  /** The journalled state of these terminals. Throws while Redis is away and may hold what is not seen here. */
  async pending(terminalIds: readonly number[]): Promise<ReadonlyMap<number, LastCalls>> {
    // Memory first: a row that moves on to Redis meanwhile is then seen twice, not missed.
    const inMemory = terminalIds.flatMap((id) => this.#memory.get(id) ?? []);
    const rows = await this.#readState(terminalIds);
    for (const row of inMemory) {
      const inRedis = rows.get(row.terminalId);
      rows.set(row.terminalId, inRedis ? mergeLastCalls(inRedis, row) : row);
    }
    return rows;
  }

  /** As of the last second. */
  get depth(): JournalDepth {
    const oldestMs = Math.min(this.#oldestMs ?? Infinity, this.#memory.sinceMs ?? Infinity);
    const oldestAgeMs = oldestMs === Infinity ? 0 : Math.max(0, Date.now() - oldestMs);
    return { redis: this.#lastCount ?? 0, memory: this.#memory.size, oldestAgeMs };
  }

  async close(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    for (const timer of this.#retiring) clearTimeout(timer);
    await this.#flushMemory();
    if (this.#memory.size > 0)
      this.#options.log.error(
        { rows: this.#memory.size },
        'records lost: neither PostgreSQL nor Redis took them',
      );
    // Without Redis there is nothing to wait for.
    if (this.#worker) await closeQueue(this.#worker, this.#options.redis.state.state !== 'up');
    await this.#queue.close();
  }

  async #appendToRedis(rows: readonly LastCalls[]): Promise<void> {
    // The state first: a read must never miss what the caller is told is kept. The job alone would be enough to keep it.
    await this.#bounded(this.#state.add(rows));
    await this.#bounded(this.#queue.add({ rows }));
    this.#lastCount = Math.max(this.#lastCount ?? 0, 1);
  }

  async #readState(terminalIds: readonly number[]): Promise<Map<number, LastCalls>> {
    if (terminalIds.length === 0) return new Map();
    try {
      return await this.#state.read(terminalIds);
    } catch (cause) {
      if (this.#lastCount === 0) return new Map();
      throw translateRedisError(cause);
    }
  }

  async #watch(): Promise<void> {
    if (this.#options.redis.state.state !== 'up') return;
    try {
      this.#lastCount = await this.#state.count();
      void this.#flushMemory();
      this.#reviveWorker();
      if (this.#lastCount === 0) this.#oldestMs = null;
      else await this.#watchBacklog();
    } catch (err) {
      this.#options.log.debug({ err }, 'journal not looked at');
    }
  }

  async #watchBacklog(): Promise<void> {
    const { jobs, oldestMs } = await this.#bounded(this.#queue.backlog());
    this.#oldestMs = oldestMs;
    if (jobs === 0 && this.#draining && this.#retiring.size === 0) await this.#sweep();
  }

  /** State without a job: its process died between the two. Applied all the same, since nobody else would. */
  async #sweep(): Promise<void> {
    for await (const rows of this.#state.all()) {
      await this.#apply(rows);
      this.#retire(rows);
    }
  }

  /**
   * Takes applied rows out of the state, but not at once: a lookup that read the tables before the commit must still find
   * them here. Should the process die before, the sweep applies and removes them again.
   */
  #retire(rows: readonly LastCalls[]): void {
    const timer = setTimeout(() => {
      this.#state
        .remove(rows)
        .catch(() => {})
        .finally(() => this.#retiring.delete(timer));
    }, RETIRE_MS);
    this.#retiring.add(timer);
  }

  /** What only memory holds goes to whatever is back first: the table, else Redis. */
  #flushMemory(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = null;
    });
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    const rows = this.#memory.all();
    if (rows.length === 0) return;
    try {
      if (this.#draining) await this.#apply(rows);
      else if (this.#options.redis.state.state === 'up') await this.#appendToRedis(rows);
      else return;
      this.#memory.remove(rows);
    } catch (err) {
      this.#options.log.debug({ err, rows: rows.length }, 'records stay in memory');
    }
  }

  #startWorker(): Worker<JournalEntry> {
    return this.#queue.openWorker((job) => this.#drain(job));
  }

  /** A worker whose first connection was cut short never runs. */
  #reviveWorker(): void {
    if (!this.#draining || this.#worker === null || this.#worker.isRunning()) return;
    void closeQueue(this.#worker, true);
    this.#worker = this.#startWorker();
  }

  async #drain(job: Job<JournalEntry>): Promise<void> {
    const { rows } = job.data;
    const refused = await this.#apply(rows);
    this.#retire(rows);
    if (refused.length > 0)
      throw new UnrecoverableError(`refused for ${refused.length} of ${rows.length} rows`);
  }

  /**
   * Writes the rows and returns those whose content the database can never take: one bad row must hold up no other.
   * Throws for everything else, which is then tried again.
   */
  async #apply(rows: readonly LastCalls[]): Promise<readonly LastCalls[]> {
    try {
      await this.#options.apply(rows);
      return [];
    } catch (err) {
      if (!(err instanceof LastcallError && err.code === 'INVALID_VALUE')) throw err;
      if (rows.length === 1) {
        this.#options.log.error(
          { err, terminalId: rows[0]?.terminalId },
          'a journalled record is not acceptable',
        );
        return rows;
      }
    }
    const refused: LastCalls[] = [];
    for (const row of rows) refused.push(...(await this.#apply([row])));
    return refused;
  }

  async #bounded<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const expiry = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new LastcallError('REDIS_UNREACHABLE')), this.#options.appendTimeoutMs);
    });
    try {
      return await Promise.race([work, expiry]);
    } finally {
      clearTimeout(timer);
    }
  }
}
