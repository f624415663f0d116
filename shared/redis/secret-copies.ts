import { SITE_SECRETS, type SiteSecrets } from '../domain/site-secret.ts';
import type { RedisConnection } from './connect.ts';
import { secretsKey } from './keys.ts';

const LIFETIME_SECONDS = 7 * 86_400;

/** A name's current value and the one before it, in base64. */
type Stored = Readonly<Record<string, readonly [string, string | null]>>;

/** The site's secrets in Redis, for a process that starts while PostgreSQL is away. Never rejects: they are an extra. */
export class SecretCopies {
  readonly #redis: RedisConnection;
  readonly #site: string;

  constructor(redis: RedisConnection, site: string) {
    this.#redis = redis;
    this.#site = site;
  }

  async keep(secrets: SiteSecrets): Promise<void> {
    if (this.#redis.state.state !== 'up' || secrets.size === 0) return;
    const stored: Stored = Object.fromEntries(
      [...secrets].map(([name, { current, previous }]) => [
        name,
        [base64(current), previous === null ? null : base64(previous)],
      ]),
    );
    await this.#redis.client
      .set(secretsKey(this.#site), JSON.stringify(stored), 'EX', LIFETIME_SECONDS)
      .catch(() => {});
  }

  /** Null when there is no copy or Redis is away. */
  async find(): Promise<SiteSecrets | null> {
    try {
      const text = await this.#redis.client.get(secretsKey(this.#site));
      return text === null ? null : parsed(JSON.parse(text) as Stored);
    } catch {
      return null;
    }
  }
}

function parsed(stored: Stored): SiteSecrets {
  return new Map(
    SITE_SECRETS.flatMap((name) => {
      const [current, previous] = stored[name] ?? [];
      if (typeof current !== 'string') return [];
      return [[name, { current: bytes(current), previous: previous ? bytes(previous) : null }] as const];
    }),
  );
}

const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64');
const bytes = (text: string): Uint8Array => Buffer.from(text, 'base64');
