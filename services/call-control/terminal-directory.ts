import { normaliseNumber } from '../../shared/domain/number.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { Queryable } from '../../shared/postgres/database.ts';
import type { TerminalChange } from '../../shared/postgres/terminal-watch.ts';
import { findTerminals, listTerminals } from '../../shared/postgres/terminals.ts';
import type { TerminalCache, TerminalName } from '../../shared/redis/terminal-cache.ts';
import { LookupCache } from './lookup-cache.ts';

export interface TerminalDirectoryOptions {
  readonly database: Queryable;
  readonly copies: TerminalCache;
  readonly budgetMs: number;
  /** Whether changes are heard, and another epoch each time that some may have been missed. */
  readonly watch: { readonly hears: boolean; readonly epoch: number };
  /** The terminal of this address of record is removed. */
  readonly onRemoved?: (aor: string) => void;
}

/** A terminal whose change nobody told of is known within this time, while PostgreSQL answers. */
const STALE_MS = 1_000;
const FRESH_MS = 500;
const CAPACITY = 200_000;
const NAMES = ['username', 'number'] as const;
const PAGE = 500;
const LEARNED_PAGE = 5_000;
/** A copy in Redis of what is in use is written again this often, so that it does not expire. */
const COPY_MS = 3_600_000;
const COPY_DELAY_MS = 100;
/** A timer's worth: whoever calls meanwhile waits no longer than for another call. */
const COPIES_AT_ONCE = 100;

/**
 * The terminals, by what SIP names them with: from memory, then PostgreSQL, then the copies in Redis. Null: there is none.
 * While changes are heard, memory holds all of them, up to a bound, and no call asks anybody. Rejects with
 * `DATABASE_UNREACHABLE` when nobody can tell.
 */
export class TerminalDirectory {
  readonly #options: TerminalDirectoryOptions;
  readonly #reading = new Set<Set<string>>();
  readonly #byUsername: LookupCache<StoredTerminal>;
  readonly #byNumber: LookupCache<StoredTerminal>;
  readonly #copiedAt = new WeakMap<StoredTerminal, number>();
  /** Used, and not in Redis yet: they go there together. */
  readonly #toCopy: Readonly<Record<TerminalName, Map<string, StoredTerminal>>> = {
    username: new Map(),
    number: new Map(),
  };
  #copying: NodeJS.Timeout | null = null;
  /** The epoch of changes that memory has caught up with. */
  #caughtUp = -1;

  constructor(options: TerminalDirectoryOptions) {
    this.#options = options;
    this.#byUsername = this.#cacheBy('username');
    this.#byNumber = this.#cacheBy('number');
  }

  async byUsername(username: string): Promise<StoredTerminal | null> {
    const found = await this.#byUsername.get(username);
    return this.#inUse('username', found);
  }

  /** What a caller dialed: a number as written or with separators, or a username. A disabled terminal is not there. */
  async dialed(userPart: string): Promise<StoredTerminal | null> {
    const known = this.#byNumber.fresh(userPart);
    if (known?.enabled) return this.#inUse('number', known);
    return (await this.#named(userPart)).find(({ enabled }) => enabled) ?? null;
  }

  /** Whom a trusted source names, whether enabled or not. */
  async named(userPart: string): Promise<StoredTerminal | null> {
    const known = this.#byNumber.fresh(userPart);
    if (known) return this.#inUse('number', known);
    return (await this.#named(userPart))[0] ?? null;
  }

  /** By number as written, by username, by number without separators. Rejects when nothing is found and something is unread. */
  async #named(userPart: string): Promise<readonly StoredTerminal[]> {
    const plain = normaliseNumber(userPart);
    const answers = await Promise.allSettled([
      this.#byNumber.get(userPart),
      this.#byUsername.get(userPart),
      plain === userPart ? null : this.#byNumber.get(plain),
    ]);
    const found = answers.flatMap((answer) =>
      answer.status === 'fulfilled' && answer.value !== null ? [answer.value] : [],
    );
    const unread = answers.find((answer) => answer.status === 'rejected');
    if (unread !== undefined && !found.some(({ enabled }) => enabled)) throw unread.reason;
    return found;
  }

  /** Nothing that was known of a changed terminal serves any more, here or in Redis, whether PostgreSQL can be asked or not. */
  async changed({ names, now }: TerminalChange): Promise<void> {
    const { copies, onRemoved } = this.#options;
    for (const by of NAMES) {
      const known = [...new Set(names.map((name) => name[by]))];
      for (const name of known) {
        this.#toCopy[by].delete(name);
        for (const changed of this.#reading) changed.add(name);
        this.#cache(by).evict(name);
        // A removed one stays refused without PostgreSQL.
        if (now?.[by] !== name) this.#cache(by).put(name, null);
      }
      await copies.drop(by, known).catch(() => {});
      if (now?.enabled)
        void this.#cache(by)
          .get(now[by])
          .catch(() => {});
    }
    for (const aor of new Set(names.map((name) => name.aor))) if (now?.aor !== aor) onRemoved?.(aor);
  }

  /**
   * What is kept is compared with PostgreSQL, after a time in which changes may have gone unheard, and the rest is learned.
   * Rejects when it cannot be.
   */
  async revalidate(): Promise<void> {
    const { watch } = this.#options;
    for (let { epoch } = watch; epoch !== this.#caughtUp; { epoch } = watch) {
      await this.#revalidateMemory();
      await this.#learn();
      this.#caughtUp = epoch;
    }
    for (const by of NAMES)
      for await (const page of this.#options.copies.pages(by)) await this.#compare(by, page);
  }

  async #revalidateMemory(): Promise<void> {
    for (const by of NAMES) {
      const remembered = this.#cache(by).keys();
      for (let at = 0; at < remembered.length; at += PAGE) {
        const { found, names } = await this.#readAgain(by, remembered.slice(at, at + PAGE));
        for (const name of names) this.#cache(by).put(name, found.get(name) ?? null);
      }
    }
  }

  /** Every terminal, up to what memory holds, without those that changed while they were read. */
  async #learn(): Promise<void> {
    let after = 0;
    for (let learned = 0; learned < CAPACITY; learned += LEARNED_PAGE) {
      const changed = new Set<string>();
      this.#reading.add(changed);
      const page = await listTerminals(this.#options.database, after, LEARNED_PAGE).finally(() =>
        this.#reading.delete(changed),
      );
      for (const terminal of page)
        for (const by of NAMES) if (!changed.has(terminal[by])) this.#cache(by).put(terminal[by], terminal);
      after = page.at(-1)?.terminalId ?? after;
      if (page.length < LEARNED_PAGE) return;
    }
  }

  /** Redis keeps copies of the terminals in use, for processes that start while PostgreSQL is away. */
  #inUse(by: TerminalName, terminal: StoredTerminal | null): StoredTerminal | null {
    if (terminal === null) return null;
    const nowMs = performance.now();
    if (nowMs - (this.#copiedAt.get(terminal) ?? Number.NEGATIVE_INFINITY) < COPY_MS) return terminal;
    this.#copiedAt.set(terminal, nowMs);
    this.#toCopy[by].set(terminal[by], terminal);
    this.#copySoon();
    return terminal;
  }

  #copySoon(): void {
    this.#copying ??= setTimeout(() => this.#copy(), COPY_DELAY_MS).unref();
  }

  #copy(): void {
    this.#copying = null;
    for (const by of NAMES) {
      const page = new Map<string, StoredTerminal>();
      for (const [name, terminal] of this.#toCopy[by]) {
        if (page.size === COPIES_AT_ONCE) break;
        page.set(name, terminal);
        this.#toCopy[by].delete(name);
      }
      void this.#options.copies.keep(by, page);
    }
    if (NAMES.some((by) => this.#toCopy[by].size > 0)) this.#copySoon();
  }

  async #compare(by: TerminalName, page: ReadonlyMap<string, StoredTerminal>): Promise<void> {
    const { copies, onRemoved } = this.#options;
    const { found, names } = await this.#readAgain(by, [...page.keys()]);
    const stale = names.filter((name) => JSON.stringify(found.get(name)) !== JSON.stringify(page.get(name)));
    await copies.drop(by, stale);
    await copies.keep(by, new Map(stale.map((name) => [name, found.get(name) ?? null])));
    for (const [name, { aor }] of page) if (names.includes(name) && !found.has(name)) onRemoved?.(aor);
  }

  /** Without those that changed while they were read. */
  async #readAgain(by: TerminalName, names: readonly string[]) {
    const changed = new Set<string>();
    this.#reading.add(changed);
    const found = await findTerminals(this.#options.database, by, names).finally(() =>
      this.#reading.delete(changed),
    );
    return { found, names: names.filter((name) => !changed.has(name)) };
  }

  #cache(by: TerminalName): LookupCache<StoredTerminal> {
    return by === 'username' ? this.#byUsername : this.#byNumber;
  }

  #cacheBy(by: TerminalName): LookupCache<StoredTerminal> {
    return new LookupCache({
      load: (keys, evicted) => this.#load(by, keys, evicted),
      freshMs: FRESH_MS,
      staleMs: STALE_MS,
      capacity: CAPACITY,
      current: () => this.#options.watch.hears && this.#options.watch.epoch === this.#caughtUp,
    });
  }

  async #load(
    by: TerminalName,
    keys: readonly string[],
    evicted: (key: string) => boolean,
  ): Promise<ReadonlyMap<string, StoredTerminal | null>> {
    const { copies, database, budgetMs } = this.#options;
    try {
      const found = await findTerminals(database, by, keys, budgetMs);
      const answers = new Map(keys.map((key) => [key, found.get(key) ?? null]));
      void copies.keep(by, new Map([...answers].filter(([key]) => !evicted(key))));
      return answers;
    } catch {
      // Whatever the reason, the copies are the next best; a key they do not hold stays unread.
      return copies.findAll(by, keys).catch(() => new Map());
    }
  }
}
