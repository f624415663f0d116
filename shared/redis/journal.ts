import { type Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import { LastcallError } from '../domain/errors.ts';
import { type LastCalls, mergeLastCalls } from '../domain/last-calls.ts';
import type { Logger } from '../runtime/logger.ts';
import type { RedisConnection } from './connect.ts';
import { JournalState } from './journal-state.ts';
import { JOB_RETENTION, queueOptions, workerOptions } from './queues.ts';

export interface JournalOptions {
  readonly redis: RedisConnection;
  readonly url: string;
  readonly site: string;
  /** Records held in memory at most while Redis is away too. */
  readonly memoryRows: number;
  readonly appendTimeoutMs: number;
  /** Writes rows into the table with their own dates, idempotently; throws `LastcallError`. */
  readonly apply: (rows: readonly LastCalls[]) => Promise<void>;
  readonly log: Logger;
}

/** `redis`: survives this process. `memory`: PostgreSQL and Redis are both away, and only this process holds it. */
export type Kept = 'redis' | 'memory';

interface Entry {
  readonly rows: readonly LastCalls[];
}

const JOB = {
  ...JOB_RETENTION,
  removeOnFail: false,
  attempts: 1_000_000,
  backoff: { type: 'fixed', delay: 500 },
} as const;
const WATCH_MS = 1_000;

/**
 * Records of the time without PostgreSQL (R12): a BullMQ queue that drains in order when the database is back, and the
 * latest state per terminal, which reads use as one more source (C8). Applying is newer-wins, so a job that runs twice,
 * after a kill -9 in the middle, changes nothing.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #queue: Queue<Entry>;
  readonly #state: JournalState;
  readonly #memory = new Map<number, LastCalls>();
  #worker: Worker<Entry> | null = null;
  #draining = false;
  #flushing: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** What Redis said last; while it is away this decides whether the journal may hold something unseen. */
  #lastCount = 0;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#queue = new Queue<Entry>('journal', queueOptions(options.site, options.url));
    // Every failure also reaches the caller that awaits; without a listener it would end the process.
    this.#queue.on('error', () => {});
    this.#state = new JournalState(options.redis, options.site);
  }

  start(): void {
    this.#timer = setInterval(() => void this.#watch(), WATCH_MS);
    void this.#watch();
  }

  /** Lets the journal drain, or stops it: called with every change of the database's state. */
  setDraining(draining: boolean): void {
    this.#draining = draining;
    if (draining) {
      this.#worker ??= this.#startWorker();
      this.#worker.resume();
      void this.#flushMemory();
    } else void this.#worker?.pause(true).catch(() => {});
  }

  /** Keeps rows of distinct terminals. Rejects with `JOURNAL_FULL` when there is no place left: nothing was kept. */
  async append(rows: readonly LastCalls[]): Promise<Kept> {
    if (this.#options.redis.state.state === 'up') {
      try {
        await this.#appendToRedis(rows);
        return 'redis';
      } catch (err) {
        this.#options.log.warn(
          { err, rows: rows.length },
          'journal not reachable, keeping records in memory',
        );
      }
    }
    const added = rows.filter((row) => !this.#memory.has(row.terminalId)).length;
    if (this.#memory.size + added > this.#options.memoryRows) throw new LastcallError('JOURNAL_FULL');
    for (const row of rows) this.#keepInMemory(row);
    return 'memory';
  }

  /** The journalled state of these terminals. Throws while Redis is away and may hold what is not seen here. */
  async pending(terminalIds: readonly number[]): Promise<ReadonlyMap<number, LastCalls>> {
    const rows = await this.#readState(terminalIds);
    for (const id of terminalIds) {
      const inMemory = this.#memory.get(id);
      const inRedis = rows.get(id);
      if (inMemory) rows.set(id, inRedis ? mergeLastCalls(inRedis, inMemory) : inMemory);
    }
    return rows;
  }

  /** Terminals with journalled state, as of the last second. */
  get depth(): { readonly redis: number; readonly memory: number } {
    return { redis: this.#lastCount, memory: this.#memory.size };
  }

  async close(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await this.#flushMemory();
    await this.#worker?.close().catch(() => {});
    await this.#queue.close().catch(() => {});
  }

  async #appendToRedis(rows: readonly LastCalls[]): Promise<void> {
    // The state first: a read must never miss what the caller is told is kept. The job alone would be enough to keep it.
    await this.#bounded(this.#state.add(rows));
    await this.#bounded(this.#queue.add('record', { rows }, JOB));
    this.#lastCount = Math.max(this.#lastCount, 1);
  }

  async #readState(terminalIds: readonly number[]): Promise<Map<number, LastCalls>> {
    try {
      return await this.#state.read(terminalIds);
    } catch (cause) {
      if (this.#lastCount === 0) return new Map();
      throw new LastcallError('REDIS_UNREACHABLE', { cause });
    }
  }

  #keepInMemory(row: LastCalls): void {
    const before = this.#memory.get(row.terminalId);
    this.#memory.set(row.terminalId, before ? mergeLastCalls(before, row) : row);
  }

  async #watch(): Promise<void> {
    if (this.#options.redis.state.state !== 'up') return;
    this.#lastCount = await this.#state.count().catch(() => this.#lastCount);
    void this.#flushMemory();
    if (this.#draining && this.#lastCount > 0) await this.#sweep().catch(() => {});
  }

  /** State without a job: its process died between the two. Applied all the same, since nobody else would. */
  async #sweep(): Promise<void> {
    const { waiting, active, delayed } = await this.#queue.getJobCounts('waiting', 'active', 'delayed');
    if ((waiting ?? 0) + (active ?? 0) + (delayed ?? 0) > 0) return;
    for await (const rows of this.#state.all()) {
      await this.#options.apply(rows);
      await this.#state.remove(rows);
    }
  }

  /** What only memory holds goes to whatever is back first: the table, else Redis. */
  #flushMemory(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = null;
    });
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    const rows = [...this.#memory.values()];
    if (rows.length === 0) return;
    try {
      if (this.#draining) await this.#options.apply(rows);
      else if (this.#options.redis.state.state === 'up') await this.#appendToRedis(rows);
      else return;
      for (const row of rows)
        if (this.#memory.get(row.terminalId) === row) this.#memory.delete(row.terminalId);
    } catch (err) {
      this.#options.log.debug({ err, rows: rows.length }, 'records stay in memory');
    }
  }

  #startWorker(): Worker<Entry> {
    const worker = new Worker<Entry>('journal', (job) => this.#drain(job), {
      ...workerOptions(this.#options.site, this.#options.url),
      concurrency: 1,
      lockDuration: 10_000,
      stalledInterval: 5_000,
      maxStalledCount: 1_000_000,
    });
    worker.on('error', (err) => this.#options.log.debug({ err }, 'journal worker'));
    worker.on('failed', (job, err) => {
      if (err instanceof UnrecoverableError)
        this.#options.log.error({ err, job: job?.id }, 'a journalled record is not acceptable');
    });
    return worker;
  }

  async #drain(job: Job<Entry>): Promise<void> {
    const { rows } = job.data;
    try {
      await this.#options.apply(rows);
    } catch (error) {
      // Kept as a failed job for the operator: trying again cannot help.
      if (error instanceof LastcallError && error.retry === 'never')
        throw new UnrecoverableError(`${error.code}: ${error.message}`);
      throw error;
    }
    await this.#state.remove(rows);
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
