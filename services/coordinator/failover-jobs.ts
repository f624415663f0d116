import type { Queue, Worker } from 'bullmq';
import { closeQueue, JOB_RETENTION, openQueue, openWorker } from '../../shared/redis/queues.ts';
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
    const place = { site, url: redisUrl, log };
    this.#queue = openQueue('failover', place);
    this.#worker = openWorker('failover', (job) => work(job.data), place, {
      autorun: false,
      concurrency: 16,
      lockDuration: 2 * STALLED_MS,
      stalledInterval: STALLED_MS,
      maxStalledCount: 1_000_000,
    });
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
    await Promise.all([closeQueue(this.#worker, true), closeQueue(this.#queue)]);
  }
}
