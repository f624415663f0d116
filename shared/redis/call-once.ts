import { LastcallError } from '../domain/errors.ts';
import { type Micros, micros } from '../domain/micros.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import type { RedisConnection } from './connect.ts';
import { callOnceKey } from './keys.ts';

export interface CallOnceOptions {
  readonly redis: RedisConnection;
  readonly site: string;
  readonly clock?: Clock;
  /** How long a callId and event are remembered, seconds. */
  readonly rememberSeconds?: number;
}

/**
 * Writes the record and returns the answer to give. `earlierAt`: when this report was first heard, if that attempt was
 * cut short; the record then keeps that date, so that a repetition never hides a newer call.
 */
export type OnceWork = (earlierAt: Micros | null) => Promise<string>;

const MEMORY_LIMIT = 100_000;
const CLAIM = 'claim:';

/**
 * The same callId and event twice is one record. Claimed in Redis with its date before `work` runs, done with its answer
 * when the record is kept; a repetition gets that answer. A crash in between leaves the claim: the next attempt works
 * again, with the claim's date. Redis away: remembered in memory, bounded.
 */
export class CallOnce {
  readonly #options: CallOnceOptions;
  readonly #memory = new Map<string, Promise<string>>();

  constructor(options: CallOnceOptions) {
    this.#options = options;
  }

  run(callId: string, event: string, work: OnceWork): Promise<string> {
    const key = callOnceKey(this.#options.site, callId, event);
    const running = this.#memory.get(key);
    if (running) return running;
    const answer = this.#claimAndDo(key, work);
    this.#remember(key, answer);
    return answer;
  }

  async #claimAndDo(key: string, work: OnceWork): Promise<string> {
    const standing = await this.#claim(key);
    if (standing !== null && !standing.startsWith(CLAIM)) return standing;
    const earlierAt = standing === null ? null : micros(Number(standing.slice(CLAIM.length)));
    try {
      const answer = await work(earlierAt);
      await this.#store(key, answer);
      return answer;
    } catch (error) {
      // Refused for good, so nothing was written: a corrected report is a new one.
      if (error instanceof LastcallError && error.retry === 'never') await this.#forget(key);
      throw error;
    }
  }

  /** Null: claimed now. Else what stands: an earlier claim, or the answer. */
  async #claim(key: string): Promise<string | null> {
    const { redis, clock = systemClock, rememberSeconds = 86_400 } = this.#options;
    try {
      const claimed = await redis.client.set(key, `${CLAIM}${clock()}`, 'EX', rememberSeconds, 'NX');
      return claimed === 'OK' ? null : await redis.client.get(key);
    } catch {
      return null;
    }
  }

  async #store(key: string, answer: string): Promise<void> {
    const { redis, rememberSeconds = 86_400 } = this.#options;
    await redis.client.set(key, answer, 'EX', rememberSeconds).catch(() => {});
  }

  async #forget(key: string): Promise<void> {
    await this.#options.redis.client.del(key).catch(() => {});
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
