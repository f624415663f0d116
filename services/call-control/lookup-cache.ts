import { LastcallError } from '../../shared/domain/errors.ts';

export interface LookupCacheOptions<V> {
  /** Answers all keys of one tick: a value, or null for "there is none". A key left out could not be read. */
  readonly load: (
    keys: readonly string[],
    /** True for a key that was evicted since: what was read of it may be what was evicted. */
    evicted: (key: string) => boolean,
  ) => Promise<ReadonlyMap<string, V | null>>;
  /** Younger than this an answer is given as it is. */
  readonly freshMs: number;
  /** Younger than this it is given and refreshed meanwhile; older, the refresh is waited for. */
  readonly staleMs: number;
  readonly capacity: number;
  /** True while every change of what there is is told: then it is given at any age. What there is not ages as ever. */
  readonly current?: () => boolean;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

interface Entry<V> {
  readonly value: V | null;
  readonly readAtMs: number;
}

interface Batch<V> {
  readonly keys: Set<string>;
  readonly evicted: Set<string>;
  readonly loaded: Promise<ReadonlyMap<string, V | null>>;
}

/**
 * Answers from memory while they are young, from one batched load a tick otherwise. What cannot be read again is served
 * at any age: a caller known a minute ago is better than none.
 */
export class LookupCache<V> {
  readonly #options: LookupCacheOptions<V>;
  readonly #entries = new Map<string, Entry<V>>();
  readonly #loading = new Map<string, Promise<V | null>>();
  #batch: Batch<V> | null = null;
  readonly #underWay = new Set<Batch<V>>();

  constructor(options: LookupCacheOptions<V>) {
    this.#options = options;
  }

  /** Null: there is none. Rejects with `DATABASE_UNREACHABLE` when no source can tell and memory does not know it. */
  async get(key: string): Promise<V | null> {
    const fresh = this.fresh(key);
    if (fresh !== undefined) return fresh;
    const entry = this.#entries.get(key);
    if (entry === undefined) return this.#refresh(key);
    const ageMs = this.#now() - entry.readAtMs;
    const refreshed = this.#refresh(key).catch(() => entry.value);
    return ageMs < this.#options.staleMs ? entry.value : refreshed;
  }

  /** What memory can answer without asking anybody; undefined when it cannot. */
  fresh(key: string): V | null | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const told = entry.value !== null && this.#options.current?.();
    return told || this.#now() - entry.readAtMs < this.#options.freshMs ? entry.value : undefined;
  }

  /** Forgets what memory holds and what is on its way: it is asked again. */
  evict(key: string): void {
    this.#entries.delete(key);
    this.#loading.delete(key);
    for (const { evicted } of this.#underWay) evicted.add(key);
  }

  /** Knows it from elsewhere. */
  put(key: string, value: V | null): void {
    this.evict(key);
    this.#remember(key, value);
  }

  keys(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** What memory holds, of any age; undefined when nothing. */
  peek(key: string): V | null | undefined {
    return this.#entries.get(key)?.value;
  }

  #refresh(key: string): Promise<V | null> {
    const running = this.#loading.get(key);
    if (running !== undefined) return running;
    const refreshed = this.#loadedWithOthers(key).finally(() => {
      if (this.#loading.get(key) === refreshed) this.#loading.delete(key);
    });
    this.#loading.set(key, refreshed);
    return refreshed;
  }

  async #loadedWithOthers(key: string): Promise<V | null> {
    this.#batch ??= this.#openBatch();
    const { evicted, keys, loaded } = this.#batch;
    keys.add(key);
    const value = (await loaded).get(key);
    if (evicted.has(key)) return this.#loadedWithOthers(key);
    if (value === undefined) throw new LastcallError('DATABASE_UNREACHABLE');
    this.#remember(key, value);
    return value;
  }

  #openBatch(): Batch<V> {
    const keys = new Set<string>();
    const evicted = new Set<string>();
    const loaded = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => {
        this.#batch = null;
        return this.#options.load([...keys], (key) => evicted.has(key));
      })
      .finally(() => this.#underWay.delete(batch));
    const batch = { keys, evicted, loaded };
    this.#underWay.add(batch);
    return batch;
  }

  #remember(key: string, value: V | null): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, readAtMs: this.#now() });
    if (this.#entries.size <= this.#options.capacity) return;
    const oldest = this.#entries.keys().next().value;
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  #now(): number {
    return (this.#options.now ?? performance.now.bind(performance))();
  }
}
