import { normaliseNumber } from '../../shared/domain/number.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { Queryable } from '../../shared/postgres/database.ts';
import { findTerminals } from '../../shared/postgres/terminals.ts';
import type { TerminalCache, TerminalName } from '../../shared/redis/terminal-cache.ts';
import { LookupCache } from './lookup-cache.ts';

export interface TerminalDirectoryOptions {
  readonly database: Queryable;
  readonly copies: TerminalCache;
  readonly budgetMs: number;
}

/** A removed or disabled terminal stops working within this time. */
const STALE_MS = 1_000;
const FRESH_MS = 500;
const CAPACITY = 200_000;

/**
 * The terminals, by what SIP names them with: from memory, then PostgreSQL, then the copies in Redis. Null: there is none.
 * Rejects with `DATABASE_UNREACHABLE` when nobody can tell.
 */
export class TerminalDirectory {
  readonly #options: TerminalDirectoryOptions;
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

  #cacheBy(by: TerminalName): LookupCache<StoredTerminal> {
    return new LookupCache({
      load: (keys) => this.#load(by, keys),
      freshMs: FRESH_MS,
      staleMs: STALE_MS,
      capacity: CAPACITY,
    });
  }

  async #load(
    by: TerminalName,
    keys: readonly string[],
  ): Promise<ReadonlyMap<string, StoredTerminal | null>> {
    const { copies, database, budgetMs } = this.#options;
    try {
      const found = await findTerminals(database, by, keys, budgetMs);
      const answers = new Map(keys.map((key) => [key, found.get(key) ?? null]));
      void copies.keep(by, answers);
      return answers;
    } catch {
      // Whatever the reason, the copies are the next best; a key they do not hold stays unread.
      return copies.findAll(by, keys).catch(() => new Map());
    }
  }
}
