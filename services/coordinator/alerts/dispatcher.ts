import { randomUUID } from 'node:crypto';
import type { Queue, Worker } from 'bullmq';
import { closeQueue, JOB_RETENTION, openQueue, openWorker } from '../../../shared/redis/queues.ts';
import type { CoordinatorLog } from '../settings.ts';
import type { Channel, Notice } from './channels.ts';
import type { LastcallEvent } from './event.ts';
import type { AlertGate } from './gate.ts';

interface Delivery {
  readonly channel: Channel['name'];
  readonly notice: Notice;
}

export interface DispatcherOptions {
  readonly site: string;
  readonly redisUrl: string;
  readonly channels: readonly Channel[];
  readonly gate: AlertGate;
  readonly log: CoordinatorLog;
  /** Counted by name, told or not. */
  readonly onEvent?: (event: LastcallEvent) => void;
}

/** A day of tries, the last ones half an hour apart. */
const ATTEMPTS = { attempts: 60, backoff: { type: 'lastcall' } } as const;
const LONGEST_DELAY_MS = 1_800_000;
const ENQUEUE_LIMIT_MS = 1_000;

/** Tells events through the `alert` queue, a job a channel, so that a receiver's outage loses none. */
export class AlertDispatcher {
  readonly #options: DispatcherOptions;
  readonly #queue: Queue<Delivery>;
  readonly #worker: Worker<Delivery>;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    const place = { site: options.site, url: options.redisUrl, log: options.log };
    this.#queue = openQueue('alert', place, { defaultJobOptions: { ...JOB_RETENTION, ...ATTEMPTS } });
    this.#worker = openWorker('alert', (job) => this.#deliver(job.data), place, {
      autorun: false,
      settings: { backoffStrategy: (attempt) => Math.min(LONGEST_DELAY_MS, 1_000 * 2 ** attempt) },
    });
    this.#worker.on('failed', (job, err) =>
      options.log.warn(
        { err, channel: job?.data.channel, event: job?.data.notice.event, attempt: job?.attemptsMade },
        'alert not delivered',
      ),
    );
  }

  start(): void {
    void this.#worker.run().catch(() => undefined);
  }

  async stop(): Promise<void> {
    await Promise.all([closeQueue(this.#worker), closeQueue(this.#queue)]);
  }

  /** Never rejects. Without Redis the event is delivered at once and only once. */
  async tell(event: LastcallEvent): Promise<void> {
    const { log, gate, channels, onEvent } = this.#options;
    onEvent?.(event);
    log.info({ ...event }, 'event');
    const withheld = gate.admit(event, performance.now());
    if (withheld === null || channels.length === 0) return;
    const notice: Notice = { ...event, id: randomUUID(), at: new Date().toISOString(), withheld };
    await Promise.all(channels.map(({ name }) => this.#enqueue({ channel: name, notice })));
  }

  async #enqueue(delivery: Delivery): Promise<void> {
    const { channel, notice } = delivery;
    try {
      const added = this.#queue.add(notice.event, delivery, { jobId: `${notice.id}-${channel}` });
      await Promise.race([added, rejectAfter(ENQUEUE_LIMIT_MS)]);
    } catch {
      await this.#deliver(delivery).catch((err: unknown) =>
        this.#options.log.warn({ err, channel }, 'alert not delivered'),
      );
    }
  }

  async #deliver({ channel, notice }: Delivery): Promise<void> {
    await this.#options.channels.find(({ name }) => name === channel)?.send(notice);
  }
}

function rejectAfter(limitMs: number): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs).unref();
  });
}
