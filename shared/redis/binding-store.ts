import { randomUUID } from 'node:crypto';
import type { Binding } from '../domain/binding.ts';
import type { RedisConnection } from './connect.ts';
import { bindingChannel, bindingKey } from './keys.ts';

/** Replaces the stored text only if it is still what was read, and tells so; the key dies with its last binding. */
const SWAP = `
  local before = redis.call('GET', KEYS[1])
  if (before or '') ~= ARGV[1] then return 0 end
  if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3]) end
  redis.call('PUBLISH', ARGV[4], ARGV[5])
  return 1`;
const ATTEMPTS = 10;
const PAGE = 500;

/** One address of record's bindings as store `by` left them. */
interface Told {
  readonly by: string;
  readonly aor: string;
  readonly bindings: readonly Binding[];
}

/** A site's bindings as they stand in Redis: one text an address of record. Rejects with what ioredis throws. */
export class BindingStore {
  readonly #redis: RedisConnection;
  readonly #site: string;
  readonly #id = randomUUID();

  constructor(redis: RedisConnection, site: string) {
    this.#redis = redis;
    this.#site = site;
  }

  async read(aor: string): Promise<readonly Binding[]> {
    return parse(await this.#get(bindingKey(this.#site, aor)));
  }

  /**
   * Replaces the bindings of one address of record by what `next` makes of them, atomically; whoever loses a race reads
   * again. `next` returns null to leave them as they are.
   */
  async update(
    aor: string,
    next: (standing: readonly Binding[]) => readonly Binding[] | null,
  ): Promise<void> {
    const key = bindingKey(this.#site, aor);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await this.#get(key);
      const bindings = next(parse(before));
      if (bindings === null) return;
      const after = bindings.length === 0 ? '' : JSON.stringify(bindings);
      const values = [before ?? '', after, lastExpiry(bindings), bindingChannel(this.#site)];
      const told: Told = { by: this.#id, aor, bindings };
      const swapped = await this.#redis.client.eval(SWAP, 1, key, ...values, JSON.stringify(told));
      if (swapped === 1) return;
    }
    throw new Error('bindings changed under every attempt');
  }

  /** Rejects when Redis has lost its content: that it holds none is then not believed. */
  async #get(key: string): Promise<string | null> {
    const content = this.#redis.content(this.#site);
    const [text = null, mark = null] = await this.#redis.client.mget(key, content.key);
    if (content.isLost(mark)) throw new Error('Redis has lost its content');
    return text;
  }

  /** Tells what other processes change from `onListening` on, which is called at each connection, until `onDeaf`. */
  listen(
    onChange: (aor: string, bindings: readonly Binding[]) => void,
    onListening: () => void,
    onDeaf: () => void,
  ): void {
    const hear = (text: string) => {
      const { by, aor, bindings } = JSON.parse(text) as Told;
      if (by !== this.#id) onChange(aor, bindings);
    };
    this.#redis.subscribe(bindingChannel(this.#site), hear, onListening, onDeaf);
  }

  /** Puts back what a Redis that lost its data no longer knows. */
  async restore(aor: string, bindings: readonly Binding[]): Promise<void> {
    const key = bindingKey(this.#site, aor);
    await this.#redis.client.set(key, JSON.stringify(bindings), 'PXAT', lastExpiry(bindings), 'NX');
  }

  /** Every address of record with its bindings, a page at a time. */
  async *all(): AsyncGenerator<readonly (readonly [aor: string, bindings: readonly Binding[]])[]> {
    const prefix = bindingKey(this.#site, '');
    for await (const page of this.#redis.client.scanStream({ match: `${prefix}*`, count: PAGE })) {
      const keys = page as string[];
      if (keys.length === 0) continue;
      const texts = await this.#redis.client.mget(keys);
      // Gone since it was listed tells nothing: perhaps all of it is gone.
      yield keys.flatMap((key, index) => {
        const text = texts[index] ?? null;
        return text === null ? [] : [[key.slice(prefix.length), parse(text)] as const];
      });
    }
  }
}

function parse(text: string | null): readonly Binding[] {
  return text === null ? [] : (JSON.parse(text) as Binding[]);
}

function lastExpiry(bindings: readonly Binding[]): number {
  return Math.max(0, ...bindings.map((binding) => binding.expiresAtMs));
}
