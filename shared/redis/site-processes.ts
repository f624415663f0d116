import type { RedisConnection } from './connect.ts';
import { processesKey } from './keys.ts';

/**
 * Says, by Redis' own clock, that ARGV[1] of KEYS[1] is alive, or with ARGV[3] that it goes, and returns who has said nothing for
 * ARGV[2] milliseconds. Forgotten are those whose registrations have long expired.
 */
const BEAT = `
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZADD', KEYS[1], ARGV[3] == 'leave' and now - ARGV[2] or now, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - 604800000)
  redis.call('PEXPIRE', KEYS[1], 604800000)
  return redis.call('ZRANGEBYSCORE', KEYS[1], 0, now - ARGV[2])`;

export interface SiteProcessesOptions {
  readonly redis: RedisConnection;
  readonly site: string;
  /** This process, as the bindings name their owner; '' while it is not known yet. */
  readonly self: () => string;
  readonly now?: () => number;
}

const BEAT_MS = 1_000;
/** Two beats may be late. */
const ALIVE_MS = 3_000;
const SUSPECT_MS = 10_000;

/**
 * Which call-controls of the site are alive: each says so every second. Known without asking anybody when a call comes; while Redis
 * is away only those who left a request unheard count as gone.
 */
export class SiteProcesses {
  readonly #options: SiteProcessesOptions;
  readonly #suspects = new Map<string, number>();
  #gone: ReadonlySet<string> = new Set();
  #beating: NodeJS.Timeout | undefined;

  constructor(options: SiteProcessesOptions) {
    this.#options = options;
  }

  start(): void {
    this.#beating = setInterval(() => void this.#beat(), BEAT_MS).unref();
    this.#options.redis.onReady(() => void this.#beat());
  }

  /** Goes, and says so: nobody hands a call to this process any more. */
  async leave(): Promise<void> {
    clearInterval(this.#beating);
    await this.#say('leave').catch(() => {});
  }

  /** True for one that is known to be gone. */
  isGone(owner: string): boolean {
    if ((this.#suspects.get(owner) ?? 0) > this.#now()) return true;
    return this.#gone.has(owner);
  }

  /** It left a request without even a 100. */
  unheard(owner: string): void {
    for (const [suspect, untilMs] of this.#suspects)
      if (untilMs <= this.#now()) this.#suspects.delete(suspect);
    this.#suspects.set(owner, this.#now() + SUSPECT_MS);
  }

  async #beat(): Promise<void> {
    if (this.#options.self() === '') return;
    try {
      this.#gone = new Set(await this.#say('alive'));
    } catch {
      this.#gone = new Set();
    }
  }

  async #say(what: 'alive' | 'leave'): Promise<string[]> {
    const { redis, self, site } = this.#options;
    return (await redis.client.eval(BEAT, 1, processesKey(site), self(), ALIVE_MS, what)) as string[];
  }

  #now(): number {
    return (this.#options.now ?? performance.now.bind(performance))();
  }
}
