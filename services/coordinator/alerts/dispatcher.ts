import type { LastcallEvent } from '../../../shared/domain/alert.ts';
import type { RedisConnection } from '../../../shared/redis/connect.ts';
import type { CoordinatorLog } from '../settings.ts';
import type { AlertLimits } from './alert-states.ts';
import type { Channel } from './channels.ts';
import { Receiver } from './receiver.ts';

export interface DispatcherOptions {
  readonly site: string;
  readonly redisUrl: string;
  readonly channels: readonly Channel[];
  readonly limits: AlertLimits;
  readonly log: CoordinatorLog;
  /** Counted by name, told or not. */
  readonly onEvent?: (event: LastcallEvent) => void;
  /** Where troubles outlive this process. */
  readonly redis: RedisConnection;
  /** Between looks at what is due again. */
  readonly tickMs?: number;
  /** After which all that lasts has been seen; what was told before the start and was not seen is over then. */
  readonly settleMs?: number;
}

const TICK_MS = 5_000;
const SETTLE_MS = 20_000;

/** Tells every channel what happens. None waits for another: each has its own states, queue and deadlines. */
export class AlertDispatcher {
  readonly #options: DispatcherOptions;
  readonly #receivers: readonly Receiver[];
  #timer: NodeJS.Timeout | null = null;
  #settling: NodeJS.Timeout | null = null;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#receivers = options.channels.map((channel) => new Receiver({ ...options, channel }));
  }

  start(): void {
    for (const receiver of this.#receivers) receiver.start();
    this.#settling = setTimeout(() => {
      for (const receiver of this.#receivers) void receiver.settle();
    }, this.#options.settleMs ?? SETTLE_MS);
    this.#timer = setInterval(() => {
      for (const receiver of this.#receivers) void receiver.tick();
    }, this.#options.tickMs ?? TICK_MS);
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    if (this.#settling) clearTimeout(this.#settling);
    await Promise.all(this.#receivers.map((receiver) => receiver.stop()));
  }

  /** Never rejects; resolves when every channel has the event in its queue, or on its way. */
  async tell(event: LastcallEvent): Promise<void> {
    this.#options.onEvent?.(event);
    this.#options.log.info({ ...event }, 'event');
    await Promise.all(this.#receivers.map((receiver) => receiver.take(event)));
  }
}
