import { randomUUID } from 'node:crypto';
import { type Ban, mergeBans } from '../domain/ban.ts';
import type { RedisConnection } from './connect.ts';
import { bansKey, liftChannel } from './keys.ts';
import { translateRedisError } from './redis-error.ts';

/** Nobody is held longer than a minute; a process that is gone leaves its list no longer than this. */
const LIFETIME_SECONDS = 120;
const GATHER_MS = 100;
/** What one process shows: those that are held longest. */
const SHOWN = 500;

/**
 * Where a site's call-controls show whom they hold back, and hear whom to let in again. Each decides from its own memory;
 * this is for people to see and to lift.
 */
export class BanBoard {
  readonly #redis: RedisConnection;
  readonly #site: string;
  readonly #id = randomUUID();
  #gathering: NodeJS.Timeout | undefined;

  constructor(redis: RedisConnection, site: string) {
    this.#redis = redis;
    this.#site = site;
  }

  /** Shows what `bans` says shortly, once for many calls. Never rejects: the board is an extra. */
  show(bans: () => readonly Ban[]): void {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      void this.#write(bans());
    }, GATHER_MS);
  }

  /** Calls `lift` with each name or source that somebody lets in again. */
  onLift(lift: (nameOrSource: string) => void): void {
    this.#redis.subscribe(liftChannel(this.#site), lift, () => {});
  }

  stop(): void {
    clearTimeout(this.#gathering);
  }

  /** Whom the site holds back now. Throws `REDIS_UNREACHABLE`. */
  async list(nowMs: number): Promise<Ban[]> {
    try {
      const texts = await this.#redis.client.hvals(bansKey(this.#site));
      return mergeBans(texts.map(parsed), nowMs);
    } catch (cause) {
      throw translateRedisError(cause);
    }
  }

  /** Lets a name in everywhere, or every name at a source; resolves with what was held. Throws `REDIS_UNREACHABLE`. */
  async lift(nameOrSource: string, nowMs: number): Promise<Ban[]> {
    const held = await this.list(nowMs);
    try {
      await this.#redis.client.publish(liftChannel(this.#site), nameOrSource);
    } catch (cause) {
      throw translateRedisError(cause);
    }
    return held.filter(({ name, source }) => name === nameOrSource || source === nameOrSource);
  }

  async #write(bans: readonly Ban[]): Promise<void> {
    if (this.#redis.state.state !== 'up') return;
    const key = bansKey(this.#site);
    const pipeline = this.#redis.client.pipeline();
    if (bans.length === 0) pipeline.hdel(key, this.#id);
    else pipeline.hset(key, this.#id, JSON.stringify(bans.slice(0, SHOWN))).expire(key, LIFETIME_SECONDS);
    await pipeline.exec().catch(() => {});
  }
}

function parsed(text: string): readonly Ban[] {
  try {
    return JSON.parse(text) as readonly Ban[];
  } catch {
    return [];
  }
}
