import { type Binding, type BindingChange, type BindingOutcome, changeBindings } from '../domain/binding.ts';
import type { RedisConnection } from './connect.ts';
import { bindingKey } from './keys.ts';

export interface LocationOptions {
  readonly redis: RedisConnection;
  readonly site: string;
  readonly maxContacts: number;
  readonly now?: () => number;
}

/** Replaces the stored text only if it is still what was read; the key dies with its last binding. */
const SWAP = `
  local before = redis.call('GET', KEYS[1])
  if (before or '') ~= ARGV[1] then return 0 end
  if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3]) end
  return 1`;
const ATTEMPTS = 10;

/**
 * The location service (RFC 3261 section 10): bindings in Redis, shared by every call-control of the site, and mirrored
 * in memory. A change is atomic per address of record; losing a race means reading again. Redis away: reads and changes
 * go on in memory, and what changed is written back when Redis returns. A restarted process finds the bindings in Redis.
 */
export class Location {
  readonly #options: LocationOptions;
  readonly #mirror = new Map<string, readonly Binding[]>();
  readonly #unsaved = new Set<string>();

  constructor(options: LocationOptions) {
    this.#options = options;
    options.redis.onReady(() => void this.#writeBack());
  }

  /** The live bindings, most preferred first. */
  async find(aor: string): Promise<readonly Binding[]> {
    const stored = await this.#read(aor);
    const nowMs = this.#now();
    return stored.filter((binding) => binding.expiresAtMs > nowMs).sort((a, b) => b.q - a.q);
  }

  /** Applies one REGISTER as a whole or not at all. */
  async change(aor: string, change: BindingChange): Promise<BindingOutcome> {
    if (this.#options.redis.state.state === 'up' && !this.#unsaved.has(aor)) {
      try {
        return await this.#changeInRedis(aor, change);
      } catch {
        // Redis went away in between: the same change in memory.
      }
    }
    return this.#changeInMemory(aor, change);
  }

  /** Addresses of record known to this process, with live bindings. */
  get size(): number {
    const nowMs = this.#now();
    let count = 0;
    for (const [aor, bindings] of this.#mirror) {
      if (bindings.some((binding) => binding.expiresAtMs > nowMs)) count++;
      else if (!this.#unsaved.has(aor)) this.#mirror.delete(aor);
    }
    return count;
  }

  async #read(aor: string): Promise<readonly Binding[]> {
    const { redis, site } = this.#options;
    if (redis.state.state === 'up' && !this.#unsaved.has(aor)) {
      try {
        const bindings = parse((await redis.client.get(bindingKey(site, aor))) ?? '');
        this.#remember(aor, bindings);
        return bindings;
      } catch {
        // Fall through to the mirror.
      }
    }
    return this.#mirror.get(aor) ?? [];
  }

  async #changeInRedis(aor: string, change: BindingChange): Promise<BindingOutcome> {
    const { redis, site, maxContacts } = this.#options;
    const key = bindingKey(site, aor);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = (await redis.client.get(key)) ?? '';
      const outcome = changeBindings(parse(before), change, this.#now(), maxContacts);
      if (outcome.kind !== 'ok') return outcome;
      const after = outcome.bindings.length === 0 ? '' : JSON.stringify(outcome.bindings);
      if ((await redis.client.eval(SWAP, 1, key, before, after, lastExpiry(outcome.bindings))) === 1) {
        this.#remember(aor, outcome.bindings);
        return outcome;
      }
    }
    throw new Error('bindings changed under every attempt');
  }

  #changeInMemory(aor: string, change: BindingChange): BindingOutcome {
    const outcome = changeBindings(
      this.#mirror.get(aor) ?? [],
      change,
      this.#now(),
      this.#options.maxContacts,
    );
    if (outcome.kind !== 'ok') return outcome;
    this.#mirror.set(aor, outcome.bindings);
    this.#unsaved.add(aor);
    if (this.#options.redis.state.state === 'up') void this.#writeBack();
    return outcome;
  }

  #remember(aor: string, bindings: readonly Binding[]): void {
    if (bindings.length === 0) this.#mirror.delete(aor);
    else this.#mirror.set(aor, bindings);
  }

  /** Memory is newer than Redis for what changed meanwhile. */
  async #writeBack(): Promise<void> {
    const { redis, site } = this.#options;
    for (const aor of [...this.#unsaved]) {
      const bindings = this.#mirror.get(aor) ?? [];
      const key = bindingKey(site, aor);
      try {
        if (bindings.length === 0) await redis.client.del(key);
        else await redis.client.set(key, JSON.stringify(bindings), 'PXAT', lastExpiry(bindings));
      } catch {
        return;
      }
      if (this.#mirror.get(aor) === bindings || bindings.length === 0) this.#unsaved.delete(aor);
    }
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }
}

function parse(text: string): readonly Binding[] {
  return text === '' ? [] : (JSON.parse(text) as Binding[]);
}

function lastExpiry(bindings: readonly Binding[]): number {
  return Math.max(0, ...bindings.map((binding) => binding.expiresAtMs));
}
