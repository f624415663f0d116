import { Queue, Worker } from 'bullmq';
import { closeBullmq, JOB_RETENTION, queueOptions, workerOptions } from '../../shared/redis/queues.ts';
import type { FailoverRequest } from './ledger.ts';
import type { CoordinatorLog } from './settings.ts';

export interface FailoverJobsOptions {
  readonly site: string;
  readonly redisUrl: string;
  readonly log: CoordinatorLog;
  /** Resolves when the failover has ended; a rejection is tried again. */
  readonly work: (request: FailoverRequest) => Promise<void>;
}

/** A killed worker's job is found this soon; its steps stand in PostgreSQL, so it goes on where it was. */
const STALLED_MS = 5_000;
const RETRY = { attempts: 1_000_000, backoff: { type: 'fixed', delay: 500 } } as const;

/**
 * The site's `failover` queue: requests that come while PostgreSQL is away are kept there, and whichever coordinator is
 * alive takes them. The queue carries the work; what was done, and who may do it, is decided in PostgreSQL.
 */
export class FailoverJobs {
  readonly #queue: Queue<FailoverRequest>;
  readonly #worker: Worker<FailoverRequest>;

  constructor({ site, redisUrl, log, work }: FailoverJobsOptions) {
    this.#queue = new Queue('failover', queueOptions(site, redisUrl));
    this.#worker = new Worker('failover', (job) => work(job.data), {
      ...workerOptions(site, redisUrl),
      autorun: false,
      concurrency: 16,
      lockDuration: 2 * STALLED_MS,
      stalledInterval: STALLED_MS,
      maxStalledCount: 1_000_000,
    });
    // Redis away is told by readiness; failures also reach their callers.
    this.#queue.on('error', () => undefined);
    this.#worker.on('error', () => undefined);
    this.#worker.on('failed', (job, err) =>
      log.warn({ err, failover: job?.data.id }, 'failover job will be tried again'),
    );
  }

  start(): void {
    void this.#worker.run().catch(() => undefined);
  }

  /** Best effort: the row in PostgreSQL is found without it. */
  async add(request: FailoverRequest): Promise<void> {
    await this.#queue
      .add('failover', request, { ...JOB_RETENTION, ...RETRY, jobId: request.id })
      .catch(() => undefined);
  }

  /** Running jobs are given back by the lock's end; `stop` waits for nothing in Redis. */
  async stop(): Promise<void> {
    await Promise.all([closeBullmq(this.#worker, true), closeBullmq(this.#queue)]);
  }
}
