import type { Job, Queue, Worker } from 'bullmq';
import type { LastCalls } from '../domain/last-calls.ts';
import { closeQueue, JOB_RETENTION, openQueue, openWorker, type QueuePlace } from './queues.ts';

/** One append: rows of distinct terminals. */
export interface JournalEntry {
  readonly rows: readonly LastCalls[];
}

/** Tried until the database takes it; what it can never take stays as a failed job for the operator. */
const JOB = {
  ...JOB_RETENTION,
  removeOnComplete: true,
  removeOnFail: false,
  attempts: 1_000_000_000,
  backoff: { type: 'fixed', delay: 500 },
  stackTraceLimit: 1,
} as const;
const QUEUE = 'journal';

/**
 * The journal's BullMQ queue. BullMQ connects once when it is made and stays unusable when that one attempt is cut
 * short, so what could not connect is made anew.
 */
export class JournalQueue {
  readonly #place: QueuePlace;
  #queue: Queue<JournalEntry>;

  constructor(place: QueuePlace) {
    this.#place = place;
    this.#queue = openQueue(QUEUE, place);
  }

  /** Resolves when the entry is in Redis. */
  async add(entry: JournalEntry): Promise<void> {
    await (await this.#usable()).add('record', entry, JOB);
  }

  /** Entries still to be applied, and when the oldest was appended (milliseconds since 1970). */
  async backlog(): Promise<{ readonly jobs: number; readonly oldestMs: number | null }> {
    const queue = await this.#usable();
    const { waiting, active, delayed } = await queue.getJobCounts('waiting', 'active', 'delayed');
    const jobs = (waiting ?? 0) + (active ?? 0) + (delayed ?? 0);
    if (jobs === 0) return { jobs, oldestMs: null };
    const firsts = await queue.getJobs(['waiting', 'active', 'delayed'], 0, 0, true);
    const times = firsts.flatMap((job) => (job ? [job.timestamp] : []));
    return { jobs, oldestMs: times.length > 0 ? Math.min(...times) : null };
  }

  /** One entry at a time, in order; an entry whose process died is taken up again after 10 s. */
  openWorker(apply: (job: Job<JournalEntry>) => Promise<void>): Worker<JournalEntry> {
    return openWorker<JournalEntry>(QUEUE, apply, this.#place, {
      concurrency: 1,
      lockDuration: 10_000,
      stalledInterval: 5_000,
      maxStalledCount: 1_000_000_000,
    });
  }

  async close(): Promise<void> {
    await closeQueue(this.#queue);
  }

  async #usable(): Promise<Queue<JournalEntry>> {
    const queue = this.#queue;
    try {
      await queue.waitUntilReady();
    } catch (error) {
      if (this.#queue === queue) {
        this.#queue = openQueue(QUEUE, this.#place);
        void closeQueue(queue);
      }
      throw error;
    }
    return queue;
  }
}
