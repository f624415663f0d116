import { type Alerts, isCritical, type Notice, troubleOf } from '../domain/alert.ts';
import type { RedisConnection } from './connect.ts';
import { openAlertsKey, recentAlertsKey } from './keys.ts';
import { translateRedisError } from './redis-error.ts';

const KEPT = 200;

/** Where a site's coordinator shows what it has told. The same notice twice is one. */
export class AlertBoard {
  readonly #redis: RedisConnection;
  readonly #open: string;
  readonly #recent: string;

  constructor(redis: RedisConnection, site: string) {
    this.#redis = redis;
    this.#open = openAlertsKey(site);
    this.#recent = recentAlertsKey(site);
  }

  /** Throws `REDIS_UNREACHABLE`. */
  async post(notice: Notice): Promise<void> {
    const text = JSON.stringify(notice);
    const trouble = troubleOf(notice);
    const pipeline = this.#redis.client.pipeline();
    if (trouble?.part === 'begin') pipeline.hset(this.#open, trouble.key, text);
    else if (trouble) pipeline.hdel(this.#open, trouble.key);
    pipeline.zadd(this.#recent, Date.parse(notice.at), text).zremrangebyrank(this.#recent, 0, -KEPT - 1);
    try {
      const answers = await pipeline.exec();
      const failed = answers?.find(([error]) => error)?.[0];
      if (failed) throw failed;
    } catch (cause) {
      throw translateRedisError(cause);
    }
  }

  /** Throws `REDIS_UNREACHABLE`. */
  async read(): Promise<Alerts> {
    try {
      const { client } = this.#redis;
      const [open, recent] = await Promise.all([
        client.hvals(this.#open),
        client.zrevrange(this.#recent, 0, -1),
      ]);
      return { open: parsed(open).sort(byGravity), recent: parsed(recent) };
    } catch (cause) {
      throw translateRedisError(cause);
    }
  }
}

const parsed = (texts: readonly string[]): Notice[] => texts.map((text) => JSON.parse(text) as Notice);

const byGravity = (x: Notice, y: Notice): number =>
  Number(isCritical(y)) - Number(isCritical(x)) || (x.since ?? x.at).localeCompare(y.since ?? y.at);
