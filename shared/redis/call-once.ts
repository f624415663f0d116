import type { RedisConnection } from './connect.ts';
import { callOnceKey } from './keys.ts';

export interface CallOnceOptions {
  readonly redis: RedisConnection;
  readonly site: string;
  /** How long a callId and event are remembered, seconds. */
  readonly rememberSeconds?: number;
}

const MEMORY_LIMIT = 100_000;

/**
 * The same callId and event twice is one record. The first call runs `work` and remembers its answer once it is kept; a
 * later one gets that answer. `work` must be idempotent: a crash between doing and remembering does it again. Redis
 * away: remembered in memory, bounded.
 */
export class CallOnce {
  readonly #options: CallOnceOptions;
  readonly #memory = new Map<string, Promise<string>>();

  constructor(options: CallOnceOptions) {
    this.#options = options;
  }

  async run(callId: string, event: string, work: () => Promise<string>): Promise<string> {
    const key = callOnceKey(this.#options.site, callId, event);
    const running = this.#memory.get(key);
    if (running) return running;
    const answer = this.#recall(key).then((known) => known ?? this.#do(key, work));
    this.#remember(key, answer);
    return answer;
  }

  async #do(key: string, work: () => Promise<string>): Promise<string> {
    const answer = await work();
    const { redis, rememberSeconds = 86_400 } = this.#options;
    await redis.client.set(key, answer, 'EX', rememberSeconds).catch(() => {});
    return answer;
  }

  async #recall(key: string): Promise<string | null> {
    return this.#options.redis.client.get(key).catch(() => null);
  }

  #remember(key: string, answer: Promise<string>): void {
    this.#memory.set(key, answer);
    // A failure is not an answer: the sender may try again.
    answer.catch(() => this.#memory.delete(key));
    if (this.#memory.size > MEMORY_LIMIT) {
      const oldest = this.#memory.keys().next().value;
      if (oldest !== undefined) this.#memory.delete(oldest);
    }
  }
}
