import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Queue, Worker } from 'bullmq';
import type { LastcallEvent, Notice } from '../../../shared/domain/alert.ts';
import type { RedisConnection } from '../../../shared/redis/connect.ts';
import { closeQueue, JOB_RETENTION, openQueue, openWorker } from '../../../shared/redis/queues.ts';
import type { CoordinatorLog } from '../settings.ts';
import { AlertMemory } from './alert-memory.ts';
import { type AlertLimits, AlertStates, type Telling } from './alert-states.ts';
import { type Channel, SEND_LIMIT_MS } from './channels.ts';

interface Delivery {
  readonly notice: Notice;
  readonly trouble: string | null;
  /** Grows with each telling. */
  readonly order: number;
}

export interface ReceiverOptions {
  readonly site: string;
  readonly redisUrl: string;
  readonly channel: Channel;
  readonly limits: AlertLimits;
  readonly log: CoordinatorLog;
  readonly redis: RedisConnection;
}

/** A day of tries, the last ones half an hour apart. */
const ATTEMPTS = { attempts: 60, backoff: { type: 'lastcall' } } as const;
const LONGEST_DELAY_MS = 1_800_000;
const REMEMBER_MS = 2_000;
const ENQUEUE_LIMIT_MS = 1_000;
/** A receiver that hangs on one notice may take the next. */
const CONCURRENCY = 4;

/** One channel: a queue of its own, so that a receiver's outage loses nothing and holds up no other. */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #states: AlertStates;
  readonly #memory: AlertMemory;
  /** What was told before the start is known, as far as Redis knows it. */
  #remembered: Promise<void> = Promise.resolve();
  readonly #queue: Queue<Delivery>;
  readonly #worker: Worker<Delivery>;
  /** By trouble, the youngest that was delivered: an older one that is tried again would be the wrong last word. */
  readonly #delivered = new Map<string, number>();
  #order = 0;

  constructor(options: ReceiverOptions) {
    const { channel, log, site, redisUrl } = options;
    this.#options = options;
    this.#states = new AlertStates(options.limits);
    this.#memory = new AlertMemory(options.redis, site, channel.name);
    const place = { site, url: redisUrl, log };
    const name = `alert-${channel.name}` as const;
    this.#queue = openQueue(name, place, { defaultJobOptions: { ...JOB_RETENTION, ...ATTEMPTS } });
    this.#worker = openWorker<Delivery>(name, (job) => this.#deliver(job.data), place, {
      autorun: false,
      concurrency: channel.inOrder ? 1 : CONCURRENCY,
      settings: { backoffStrategy: (attempt) => Math.min(LONGEST_DELAY_MS, 1_000 * 2 ** attempt) },
    });
    this.#worker.on('failed', (job, err) =>
      log.warn(
        { err, channel: channel.name, event: job?.data.notice.event, attempt: job?.attemptsMade },
        'alert not delivered',
      ),
    );
  }

  start(): void {
    this.#remembered = this.#remember();
    void this.#worker.run().catch(() => undefined);
  }

  /** What is on its way is found in Redis again at the next start. */
  async stop(): Promise<void> {
    await Promise.all([closeQueue(this.#worker, true), closeQueue(this.#queue)]);
  }

  async take(event: LastcallEvent): Promise<void> {
    await this.#remembered;
    await this.#send(this.#states.take(event, performance.now()));
  }

  async tick(): Promise<void> {
    await this.#remembered;
    await this.#send(this.#states.tick(performance.now()));
  }

  /** By now all that lasts has been seen. */
  async settle(): Promise<void> {
    await this.#remembered;
    await this.#send(this.#states.settle(performance.now()));
  }

  /** A coordinator may start before Redis does; it does not wait long. */
  async #remember(): Promise<void> {
    for (let waitedMs = 0; waitedMs < REMEMBER_MS; waitedMs += REMEMBER_MS / 10) {
      const troubles = await this.#memory.load();
      if (troubles !== null) return this.#states.restore(troubles);
      await delay(REMEMBER_MS / 10);
    }
  }

  async #send(tellings: readonly Telling[]): Promise<void> {
    await Promise.all(tellings.map((telling) => this.#enqueue(telling)));
    await this.#memory.save(this.#states.open);
  }

  /** Without Redis it is sent at once; not taken, a trouble that lasts is told again at the next tick. */
  async #enqueue(telling: Telling): Promise<void> {
    const delivery = this.#delivery(telling);
    const { notice } = delivery;
    try {
      await within(ENQUEUE_LIMIT_MS, this.#queue.add(notice.event, delivery, { jobId: notice.id }));
    } catch {
      void this.#deliver(delivery).catch((err: unknown) => {
        this.#states.failed(telling);
        this.#options.log.warn({ err, channel: this.#options.channel.name }, 'alert not delivered');
      });
    }
  }

  #delivery({ event, phase, trouble, sinceMs, withheld }: Telling): Delivery {
    const nowMs = Date.now();
    const since = sinceMs === null ? null : new Date(nowMs - (performance.now() - sinceMs)).toISOString();
    // Across restarts too: the clock leads, several of one millisecond follow each other.
    this.#order = Math.max(this.#order + 1, nowMs * 1_000);
    const at = new Date(nowMs).toISOString();
    return {
      notice: { ...event, id: randomUUID(), at, phase, since, withheld },
      trouble,
      order: this.#order,
    };
  }

  async #deliver({ notice, trouble, order }: Delivery): Promise<void> {
    if (trouble !== null && (this.#delivered.get(trouble) ?? 0) > order) return;
    await within(SEND_LIMIT_MS, this.#options.channel.send(notice));
    if (trouble !== null) this.#delivered.set(trouble, Math.max(order, this.#delivered.get(trouble) ?? 0));
  }
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
