import type { RedisConnection } from '../../../shared/redis/connect.ts';
import { alertsKey } from '../../../shared/redis/keys.ts';
import type { OpenTrouble } from './alert-states.ts';

/** Where a channel's open troubles outlive the coordinator. Times are of `performance.now()`. Neither method throws. */
export class AlertMemory {
  readonly #redis: RedisConnection;
  readonly #key: string;
  #saved = '[]';

  constructor(redis: RedisConnection, site: string, channel: string) {
    this.#redis = redis;
    this.#key = alertsKey(site, channel);
  }

  /** Null while Redis is away. */
  async load(): Promise<OpenTrouble[] | null> {
    if (this.#redis.state.state !== 'up') return null;
    try {
      const text = (await this.#redis.client.get(this.#key)) ?? '[]';
      this.#saved = text;
      return (JSON.parse(text) as OpenTrouble[]).map((trouble) => shifted(trouble, -offsetMs()));
    } catch {
      return null;
    }
  }

  async save(troubles: readonly OpenTrouble[]): Promise<void> {
    const text = JSON.stringify(troubles.map((trouble) => shifted(trouble, offsetMs())));
    if (text === this.#saved) return;
    await this.#redis.client.set(this.#key, text).then(
      () => {
        this.#saved = text;
      },
      () => undefined,
    );
  }
}

/** From the monotonic clock of this process to the time of day, to the second: the two drift. */
const offsetMs = (): number => Math.round((Date.now() - performance.now()) / 1_000) * 1_000;

const shifted = ({ event, sinceMs, toldAtMs }: OpenTrouble, byMs: number): OpenTrouble => ({
  event,
  sinceMs: Math.round(sinceMs + byMs),
  toldAtMs: toldAtMs === null ? null : Math.round(toldAtMs + byMs),
});
