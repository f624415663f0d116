import {
  type Binding,
  type BindingChange,
  type BindingOutcome,
  bindingKeyOf,
  callable,
  changeBindings,
} from '../domain/binding.ts';
import { BindingStore } from './binding-store.ts';
import type { RedisConnection } from './connect.ts';

export interface LocationOptions {
  readonly redis: RedisConnection;
  readonly site: string;
  readonly maxContacts: number;
  readonly now?: () => number;
}

const WRITE_BACK_RETRY_MS = 1_000;
/** Changes kept for one address of record while Redis is away. */
const MOST_UNSAVED = 100;

/**
 * The location service (RFC 3261 section 10): bindings in Redis, shared by every call-control of the site, and mirrored
 * in memory, where each hears of what the others change. While the mirror is whole no call asks Redis. A change is atomic
 * per address of record; losing a race means reading again. Redis away: reads and changes go on in memory, and the changes
 * are made again in Redis when it returns, on top of those of other processes. A restarted process finds the bindings in
 * Redis; a Redis that lost its data gets them from memory.
 */
export class Location {
  readonly #options: LocationOptions;
  readonly #store: BindingStore;
  readonly #mirror = new Map<string, readonly Binding[]>();
  /** Changes that Redis does not know yet, in order, the latest a contact. */
  readonly #unsaved = new Map<string, readonly BindingChange[]>();
  /** Addresses of record changed since the mirror began to be filled; null while nobody is heard. */
  #heard: Set<string> | null = null;
  #whole = false;
  #restored = 0;
  #writingBack = false;

  constructor(options: LocationOptions) {
    this.#options = options;
    this.#store = new BindingStore(options.redis, options.site);
    options.redis.onReady(() => void this.#writeBack());
    options.redis.content(options.site).onLost(() => this.#restore());
    this.#store.listen(
      (aor, bindings) => {
        this.#heard?.add(aor);
        this.#mirrorStored(aor, bindings);
      },
      () => void this.#mirrorAll(),
      () => {
        this.#heard = null;
        this.#whole = false;
      },
    );
  }

  /** The live bindings, most preferred first. */
  async find(aor: string): Promise<readonly Binding[]> {
    return callable(await this.#read(aor), this.#now());
  }

  /** Applies one REGISTER as a whole or not at all. */
  async change(aor: string, change: BindingChange): Promise<BindingOutcome> {
    if (this.#mayAskRedis(aor)) {
      try {
        return await this.#changeInRedis(aor, change);
      } catch {
        // Redis went away in between: the same change in memory.
      }
    }
    return this.#changeInMemory(aor, change);
  }

  /** Addresses of record with live bindings, as this process knows them. */
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
    if (!this.#whole && this.#mayAskRedis(aor)) {
      try {
        this.#mirrorStored(aor, await this.#store.read(aor));
      } catch {
        // The mirror has to do.
      }
    }
    return this.#mirror.get(aor) ?? [];
  }

  async #changeInRedis(aor: string, change: BindingChange): Promise<BindingOutcome> {
    let outcome: BindingOutcome = { kind: 'ok', bindings: [] };
    await this.#store.update(aor, (standing) => {
      outcome = changeBindings(standing, change, this.#now(), this.#options.maxContacts);
      return outcome.kind === 'ok' ? outcome.bindings : null;
    });
    if (outcome.kind === 'ok') {
      this.#heard?.add(aor);
      this.#remember(aor, outcome.bindings);
    }
    return outcome;
  }

  #changeInMemory(aor: string, change: BindingChange): BindingOutcome {
    const standing = this.#mirror.get(aor) ?? [];
    const outcome = changeBindings(standing, change, this.#now(), this.#options.maxContacts);
    if (outcome.kind !== 'ok') return outcome;
    this.#remember(aor, outcome.bindings);
    this.#unsaved.set(aor, withChange(this.#unsaved.get(aor) ?? [], change));
    void this.#writeBack();
    return outcome;
  }

  /** A change made in memory while this was on its way from Redis is newer. */
  #mirrorStored(aor: string, bindings: readonly Binding[]): void {
    if (!this.#unsaved.has(aor)) this.#remember(aor, bindings);
  }

  #remember(aor: string, bindings: readonly Binding[]): void {
    if (bindings.length === 0) this.#mirror.delete(aor);
    else this.#mirror.set(aor, bindings);
  }

  #mayAskRedis(aor: string): boolean {
    return this.#options.redis.state.state === 'up' && !this.#unsaved.has(aor);
  }

  /** A Redis that lost its data gets back what it lacks, whole: an unsaved change alone would be all it knows then. */
  async #restore(): Promise<void> {
    this.#restored++;
    for (const [aor, bindings] of this.#mirror) await this.#store.restore(aor, bindings);
  }

  /** What others changed while nobody was listening; from then on the mirror says what Redis says. */
  async #mirrorAll(): Promise<void> {
    const heard = new Set<string>();
    this.#heard = heard;
    const { redis, site } = this.#options;
    try {
      // Content that Redis has lost is given back first: what it does not hold then is nobody's.
      await redis.content(site).look();
      const restored = this.#restored;
      const stored = await this.#mirrorStore(heard);
      await redis.content(site).look();
      // Deaf again, or another round has begun.
      if (this.#heard !== heard) return;
      if (restored !== this.#restored) return await this.#mirrorAll();
      for (const aor of this.#mirror.keys())
        if (!stored.has(aor) && !heard.has(aor)) this.#mirrorStored(aor, []);
      this.#whole = true;
    } catch {
      // Away again: the next connection begins anew.
    }
  }

  /** Every address of record that Redis holds, mirrored unless something newer of it was heard meanwhile. */
  async #mirrorStore(heard: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    const stored = new Set<string>();
    for await (const page of this.#store.all())
      for (const [aor, bindings] of page) {
        stored.add(aor);
        if (!heard.has(aor)) this.#mirrorStored(aor, bindings);
      }
    return stored;
  }

  async #writeBack(): Promise<void> {
    if (this.#writingBack || this.#options.redis.state.state !== 'up') return;
    this.#writingBack = true;
    try {
      for (const [aor, changes] of this.#unsaved) await this.#repeatInRedis(aor, changes);
    } catch {
      // Tried again below, and at the next connection.
    }
    this.#writingBack = false;
    if (this.#unsaved.size > 0) setTimeout(() => void this.#writeBack(), WRITE_BACK_RETRY_MS).unref();
  }

  /** A change that Redis has already, or that a newer one overtook, is out of order there and changes nothing. */
  async #repeatInRedis(aor: string, changes: readonly BindingChange[]): Promise<void> {
    let bindings: readonly Binding[] = [];
    await this.#store.update(aor, (standing) => {
      bindings = changes.reduce((before, change) => {
        const outcome = changeBindings(before, change, this.#now(), this.#options.maxContacts);
        return outcome.kind === 'ok' ? outcome.bindings : before;
      }, standing);
      return bindings;
    });
    // Changed again meanwhile: the next round takes it.
    if (this.#unsaved.get(aor) !== changes) return;
    this.#unsaved.delete(aor);
    this.#heard?.add(aor);
    this.#remember(aor, bindings);
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }
}

/** The changes with one more, bounded by contacts: of each contact only the latest is kept. */
function withChange(changes: readonly BindingChange[], change: BindingChange): readonly BindingChange[] {
  if ('removeAll' in change || 'forget' in change) return [change];
  if ('lostFlow' in change) return [...changes, change].slice(-MOST_UNSAVED);
  const replaced = new Set(change.bindings.map(bindingKeyOf));
  const kept = changes.filter(
    (earlier) => !('bindings' in earlier && earlier.bindings.some((one) => replaced.has(bindingKeyOf(one)))),
  );
  return [...kept, ...change.bindings.map((binding) => ({ bindings: [binding] }))].slice(-MOST_UNSAVED);
}
