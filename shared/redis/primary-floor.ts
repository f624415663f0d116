import { raisedFloor, type ServerIdentity } from '../domain/server-identity.ts';
import type { RedisConnection } from './connect.ts';
import { primaryFloorKey } from './keys.ts';

/** Keeps the newer timeline of one cluster; another cluster's sighting takes the place. Returns what stands then. */
const RAISE = `
  local before = redis.call('HMGET', KEYS[1], 'systemIdentifier', 'timeline')
  if before[1] == ARGV[1] and tonumber(before[2]) >= tonumber(ARGV[2]) then return before end
  redis.call('HSET', KEYS[1], 'systemIdentifier', ARGV[1], 'timeline', ARGV[2])
  return { ARGV[1], ARGV[2] }`;

/**
 * Rule 28: the newest timeline of the site's database, remembered in Redis, so that a process started while only an old
 * primary answers does not believe it. Redis away: what this process has seen has to do. Never throws.
 */
export class RedisPrimaryFloor {
  readonly #redis: RedisConnection;
  readonly #key: string;
  #floor: ServerIdentity | null = null;
  #stored = '';

  /** `redis` is that of site `home`. */
  constructor(redis: RedisConnection, home: string, site = home) {
    this.#redis = redis;
    this.#key = primaryFloorKey(home, site);
    redis.onReady(() => {
      this.#stored = '';
      void this.#read();
    });
  }

  current(): ServerIdentity | null {
    return this.#floor;
  }

  raise(seen: ServerIdentity): void {
    this.#floor = raisedFloor(this.#floor, seen);
    void this.#store(this.#floor);
  }

  /** A Redis that lost its data learns it again. */
  async #read(): Promise<void> {
    const [systemIdentifier, timeline] = await this.#redis.client
      .hmget(this.#key, 'systemIdentifier', 'timeline')
      .catch(() => []);
    if (systemIdentifier && timeline) this.#learn([systemIdentifier, timeline]);
    if (this.#floor !== null) await this.#store(this.#floor);
  }

  async #store({ systemIdentifier, timeline }: ServerIdentity): Promise<void> {
    const text = `${systemIdentifier}/${timeline}`;
    if (text === this.#stored || this.#redis.state.state !== 'up') return;
    const standing = await this.#redis.client
      .eval(RAISE, 1, this.#key, systemIdentifier, timeline)
      .catch(() => null);
    if (standing === null) return;
    this.#stored = text;
    this.#learn(standing as [string, string]);
  }

  #learn([systemIdentifier, timeline]: readonly [string, string]): void {
    const known = { systemIdentifier, timeline: Number(timeline) };
    this.#floor = this.#floor === null ? known : raisedFloor(known, this.#floor);
  }
}
