import {
  SITE_SECRETS,
  type SigningKeySource,
  type SigningKeys,
  type SiteSecretName,
  type SiteSecrets as StoredSecrets,
} from '../../shared/domain/site-secret.ts';
import type { Logger } from '../../shared/runtime/logger.ts';
import { randomKeys } from '../../shared/sip/random-keys.ts';

export interface SiteSecretsOptions {
  /** What PostgreSQL holds; rejects while it is away. */
  readonly read: () => Promise<StoredSecrets>;
  /** What this site left in Redis for a start while PostgreSQL is away; neither ever rejects. */
  readonly copies: {
    keep(secrets: StoredSecrets): Promise<void>;
    find(): Promise<StoredSecrets | null>;
  };
  readonly log: Logger;
  /** Milliseconds between two readings; default a minute. */
  readonly everyMs?: number;
}

const EVERY_MS = 60_000;

/**
 * What this process signs with: the site's secrets, read at the start, when PostgreSQL comes back, and every minute, so that
 * a rotation reaches it. Until it has read them it signs with random ones, which stay accepted as the previous ones where
 * there is none.
 */
export class SiteSecrets {
  readonly #options: SiteSecretsOptions;
  readonly #random = new Map(SITE_SECRETS.map((name) => [name, randomKeys()()]));
  #held: ReadonlyMap<SiteSecretName, SigningKeys> = this.#random;
  #from: 'nowhere' | 'redis' | 'postgres' = 'nowhere';
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SiteSecretsOptions) {
    this.#options = options;
  }

  /** The keys for one use, as of each call. */
  keysFor(name: SiteSecretName): SigningKeySource {
    return () => this.#held.get(name) ?? this.#randomFor(name);
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.refresh(), this.#options.everyMs ?? EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Reads PostgreSQL, else the copy unless better is known; never rejects. */
  async refresh(): Promise<void> {
    const { copies, log, read } = this.#options;
    try {
      const stored = await read();
      this.#take(stored, 'postgres');
      await copies.keep(stored);
    } catch (err) {
      const copied = this.#from === 'nowhere' ? await copies.find() : null;
      if (copied !== null && this.#from === 'nowhere') this.#take(copied, 'redis');
      else if (this.#from === 'nowhere')
        log.warn({ err }, 'site secrets unreadable: signing with random ones of this process');
    }
  }

  #take(stored: StoredSecrets, from: 'redis' | 'postgres'): void {
    const missing = SITE_SECRETS.filter((name) => !stored.has(name));
    if (missing.length > 0) this.#options.log.warn({ missing }, 'site secrets missing: run lastcall init');
    this.#held = new Map(
      [...stored].map(([name, { current, previous }]) => [
        name,
        { current, previous: previous ?? this.#randomFor(name).current },
      ]),
    );
    this.#from = from;
  }

  #randomFor(name: SiteSecretName): SigningKeys {
    return this.#random.get(name) ?? randomKeys()();
  }
}
