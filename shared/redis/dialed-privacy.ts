import type { RedisConnection } from './connect.ts';
import { keyPrefix } from './keys.ts';

/** Longer than anyone redials; the digits themselves are kept in PostgreSQL. */
const LIFETIME_SECONDS = 30 * 86_400;

/**
 * The Privacy header (RFC 3323) of each terminal's last dialed call, for F16: the tables have no column for it. Kept per
 * site; away or expired, a redial asks only for the privacy that it names itself.
 */
export class DialedPrivacy {
  readonly #redis: RedisConnection;
  readonly #site: string;

  constructor(redis: RedisConnection, site: string) {
    this.#redis = redis;
    this.#site = site;
  }

  keep(terminalId: number, number: string, privacy: string | null): void {
    if (this.#redis.state.state !== 'up') return;
    const key = this.#key(terminalId);
    const done =
      privacy === null
        ? this.#redis.client.del(key)
        : this.#redis.client.set(key, JSON.stringify([number, privacy]), 'EX', LIFETIME_SECONDS);
    void Promise.resolve(done).catch(() => {});
  }

  async find(terminalId: number, number: string): Promise<string | null> {
    if (this.#redis.state.state !== 'up') return null;
    const text = await this.#redis.client.get(this.#key(terminalId)).catch(() => null);
    const [kept, privacy] = text === null ? [null, null] : (JSON.parse(text) as [string, string]);
    return kept === number ? privacy : null;
  }

  #key(terminalId: number): string {
    return `${keyPrefix(this.#site)}:privacy:${terminalId}`;
  }
}
