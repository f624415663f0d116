import { type Job, UnrecoverableError, type Worker } from 'bullmq';
import { LastcallError } from '../domain/errors.ts';
import type { LastCalls } from '../domain/last-calls.ts';
import type { Logger } from '../runtime/logger.ts';
import type { RedisConnection } from './connect.ts';
import { type JournalEntry, JournalQueue } from './journal-queue.ts';
import { JournalState } from './journal-state.ts';
import { closeQueue } from './queues.ts';
import { translateRedisError } from './redis-error.ts';

export interface JournalOptions {
  readonly redis: RedisConnection;
  readonly url: string;
  readonly site: string;
  /** What this process keeps that the table does not have: appended again to a Redis that was away or is emptied. */
  readonly unwritten: () => readonly LastCalls[];
  readonly appendTimeoutMs: number;
  /** Writes rows into the table with their own dates, idempotently; throws `LastcallError`. */
  readonly apply: (rows: readonly LastCalls[]) => Promise<void>;
  readonly log: Logger;
}

/** What waits for the database in Redis: terminals, and the age of the oldest record in milliseconds. */
export interface JournalDepth {
  readonly redis: number;
  readonly oldestAgeMs: number;
}

const WATCH_MS = 1_000;
const PAGE = 500;
/** Longer than any lookup may take. */
const RETIRE_MS = 1_000;

/**
 * Records of the time without PostgreSQL (R12), for every process of the site: a BullMQ queue that drains in order when the database is back, and the
 * latest state per terminal, which reads use as one more source (C8). Applying is newer-wins, so a job that runs twice,
 * after a kill -9 in the middle, changes nothing.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #queue: JournalQueue;
  readonly #state: JournalState;
  #worker: Worker<JournalEntry> | null = null;
  #draining = false;
  /** Redis lacks something that this process keeps. */
  #behind = false;
  #timer: NodeJS.Timeout | null = null;
  /** What Redis said last, null before it said anything; while it is away this decides whether it may hold something unseen. */
  #lastCount: number | null = null;
  /** How many changes by any process were heard. */
  #changes = 0;
  /** A count taken since this process hears of every change: while it is 0, nobody need be asked. */
  #hears = false;
  #oldestMs: number | null = null;
  readonly #retiring = new Set<NodeJS.Timeout>();

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#queue = new JournalQueue(options);
    this.#state = new JournalState(options.redis, options.site);
    this.#state.listen(
      () => {
        this.#changes++;
        this.#lastCount = Math.max(this.#lastCount ?? 0, 1);
      },
      () => void this.#beginToHear(),
      () => {
        this.#hears = false;
      },
    );
    options.redis.content(options.site).onLost(() => {
      this.#behind = true;
      return this.#catchUp();
    });
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
    } else void this.#worker?.pause(true).catch(() => {});
  }

  /** Tells the site of rows of distinct terminals, which this process keeps. False while Redis is away: it hears later. */
  async append(rows: readonly LastCalls[]): Promise<boolean> {
    if (this.#options.redis.state.state === 'up') {
      try {
        await this.#appendToRedis(rows);
        return true;
      } catch (cause) {
        const err = translateRedisError(cause);
        this.#options.log.warn({ err, rows: rows.length }, 'journal not reachable, records stay in the ring');
      }
    }
    this.#behind = true;
    return false;
  }

  /** The journalled state of these terminals. Throws while Redis is away and may hold what is not seen here. */
  async pending(terminalIds: readonly number[]): Promise<ReadonlyMap<number, LastCalls>> {
    if (terminalIds.length === 0 || (this.#hears && this.#lastCount === 0)) return new Map();
    try {
      return await this.#state.read(terminalIds);
    } catch (cause) {
      if (this.#lastCount === 0) return new Map();
      throw translateRedisError(cause);
    }
  }

  /** As of the last second. */
  get depth(): JournalDepth {
    const oldestAgeMs = this.#oldestMs === null ? 0 : Math.max(0, Date.now() - this.#oldestMs);
    return { redis: this.#lastCount ?? 0, oldestAgeMs };
  }

  async close(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    for (const timer of this.#retiring) clearTimeout(timer);
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

  /** While the database is there the records go into the table, and nobody needs them here. */
  async #catchUp(): Promise<void> {
    if (!this.#behind || this.#options.redis.state.state !== 'up') return;
    this.#behind = false;
    try {
      const rows = this.#draining ? [] : this.#options.unwritten();
      for (let at = 0; at < rows.length; at += PAGE) await this.#appendToRedis(rows.slice(at, at + PAGE));
    } catch (error) {
      this.#behind = true;
      throw error;
    }
  }

  async #watch(): Promise<void> {
    if (this.#options.redis.state.state !== 'up') return;
    try {
      await this.#count();
      await this.#catchUp();
      this.#reviveWorker();
      if (this.#lastCount === 0) this.#oldestMs = null;
      else await this.#watchBacklog();
    } catch (err) {
      this.#options.log.debug({ err }, 'journal not looked at');
    }
  }

  async #count(): Promise<void> {
    const changes = this.#changes;
    const count = await this.#state.count();
    // What was heard meanwhile may have come after the count.
    this.#lastCount = changes === this.#changes ? count : Math.max(count, 1);
  }

  async #beginToHear(): Promise<void> {
    try {
      await this.#count();
      this.#hears = true;
    } catch {
      // Away again: the next connection begins anew.
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
