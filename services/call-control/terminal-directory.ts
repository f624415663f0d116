import { normaliseNumber } from '../../shared/domain/number.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { Queryable } from '../../shared/postgres/database.ts';
import type { TerminalChange } from '../../shared/postgres/terminal-watch.ts';
import { findTerminals } from '../../shared/postgres/terminals.ts';
import type { TerminalCache, TerminalName } from '../../shared/redis/terminal-cache.ts';
import { LookupCache } from './lookup-cache.ts';

export interface TerminalDirectoryOptions {
  readonly database: Queryable;
  readonly copies: TerminalCache;
  readonly budgetMs: number;
  /** The terminal of this address of record is removed. */
  readonly onRemoved?: (aor: string) => void;
}

/** A terminal whose change nobody told of is known within this time, while PostgreSQL answers. */
const STALE_MS = 1_000;
const FRESH_MS = 500;
const CAPACITY = 200_000;
const NAMES = ['username', 'number'] as const;
const PAGE = 500;

/**
 * The terminals, by what SIP names them with: from memory, then PostgreSQL, then the copies in Redis. Null: there is none.
 * Rejects with `DATABASE_UNREACHABLE` when nobody can tell.
 */
export class TerminalDirectory {
  readonly #options: TerminalDirectoryOptions;
  readonly #reading = new Set<Set<string>>();
  readonly #byUsername: LookupCache<StoredTerminal>;
  readonly #byNumber: LookupCache<StoredTerminal>;

  constructor(options: TerminalDirectoryOptions) {
    this.#options = options;
    this.#byUsername = this.#cacheBy('username');
    this.#byNumber = this.#cacheBy('number');
  }

  byUsername(username: string): Promise<StoredTerminal | null> {
    return this.#byUsername.get(username);
  }

  /** What a caller dialed: a number as written or with separators, or a username. A disabled terminal is not there. */
  async dialed(userPart: string): Promise<StoredTerminal | null> {
    const plain = normaliseNumber(userPart);
    const answers = await Promise.allSettled([
      this.#byNumber.get(userPart),
      this.#byUsername.get(userPart),
      plain === userPart ? null : this.#byNumber.get(plain),
    ]);
    for (const answer of answers)
      if (answer.status === 'fulfilled' && answer.value?.enabled) return answer.value;
    const unread = answers.find((answer) => answer.status === 'rejected');
    if (unread !== undefined) throw unread.reason;
    return null;
  }

  /** Nothing that was known of a changed terminal serves any more, here or in Redis, whether PostgreSQL can be asked or not. */
  async changed({ names, now }: TerminalChange): Promise<void> {
    const { copies, onRemoved } = this.#options;
    for (const by of NAMES) {
      const known = [...new Set(names.map((name) => name[by]))];
      for (const name of known) {
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

  /** What is kept is compared with PostgreSQL, after a time in which changes may have gone unheard. Rejects when it cannot be. */
  async revalidate(): Promise<void> {
    for (const by of NAMES) {
      const remembered = this.#cache(by).keys();
      for (let at = 0; at < remembered.length; at += PAGE) {
        const { found, names } = await this.#readAgain(by, remembered.slice(at, at + PAGE));
        for (const name of names) this.#cache(by).put(name, found.get(name) ?? null);
      }
      for await (const page of this.#options.copies.pages(by)) await this.#compare(by, page);
    }
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
