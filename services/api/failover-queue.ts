import type { Queue } from 'bullmq';
import { LastcallError } from '../../shared/domain/errors.ts';
import { closeQueue, JOB_RETENTION, openQueue, type QueuePlace } from '../../shared/redis/queues.ts';
import type { FailoverJob } from './deps.ts';

/** Until it is done: the coordinator may be away, and PostgreSQL with it. */
const JOB = { ...JOB_RETENTION, attempts: 1_000_000, backoff: { type: 'fixed', delay: 500 } } as const;

/** The queue that wakes the coordinator at once; its own look at the table finds what Redis lost. */
export class FailoverQueue {
  readonly #queue: Queue<FailoverJob>;
  readonly #budgetMs: number;

  constructor(place: QueuePlace, budgetMs: number) {
    this.#queue = openQueue('failover', place);
    this.#budgetMs = budgetMs;
  }

  /** The failover's id is the job's: added twice it is one job. Rejects with `REDIS_UNREACHABLE`. */
  async add(request: FailoverJob): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const expiry = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new LastcallError('REDIS_UNREACHABLE')), this.#budgetMs);
    });
    try {
      await Promise.race([this.#queue.add('failover', request, { ...JOB, jobId: request.id }), expiry]);
    } catch (cause) {
      throw cause instanceof LastcallError ? cause : new LastcallError('REDIS_UNREACHABLE', { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await closeQueue(this.#queue);
  }
}
