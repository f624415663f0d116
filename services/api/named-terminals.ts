import { LastcallError } from '../../shared/domain/errors.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { Queryable } from '../../shared/postgres/database.ts';
import type { TerminalChange } from '../../shared/postgres/terminal-watch.ts';
import { findTerminal, findTerminalsByName, listTerminals } from '../../shared/postgres/terminals.ts';
import type { TerminalCache } from '../../shared/redis/terminal-cache.ts';

const REMEMBERED = 100_000;
const PAGE = 5_000;

interface Asked {
  readonly name: string;
  readonly resolve: (found: StoredTerminal | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Terminals by what a PBX calls them: number, then username, then address of record. While PostgreSQL is away it answers
 * from what it saw last, or what the site's Redis remembers, so that a call can still be journalled and a pending one
 * still be looked up (R12, C8).
 */
export class NamedTerminals {
  readonly #database: Queryable;
  readonly #cache: Pick<TerminalCache, 'find'>;
  readonly #budgetMs: number;
  #asking: Asked[] = [];
  /** By name, and by terminal id. */
  readonly #remembered = new Map<string | number, StoredTerminal>();

  constructor(database: Queryable, cache: Pick<TerminalCache, 'find'>, budgetMs: number) {
    this.#database = database;
    this.#cache = cache;
    this.#budgetMs = budgetMs;
  }

  /** Null when there is none. Throws `UNREADABLE` when that cannot be known. */
  async find(name: string): Promise<StoredTerminal | null> {
    try {
      const found = await this.#ask(name);
      if (found) this.#remember(found);
      else this.#remembered.delete(name);
      return found;
    } catch (error) {
      if (!(error instanceof LastcallError) || error.retry === 'never') throw error;
      const known = this.#remembered.get(name) ?? (await this.#cached(name));
      if (known) return known;
      throw new LastcallError('UNREADABLE', { cause: error, details: { terminal: name } });
    }
  }

  /** As `find`. */
  async byId(terminalId: number): Promise<StoredTerminal | null> {
    try {
      const found = await findTerminal(this.#database, { terminalId }, this.#budgetMs);
      if (found) this.#remember(found);
      return found;
    } catch (error) {
      if (!(error instanceof LastcallError) || error.retry === 'never') throw error;
      const known = this.#remembered.get(terminalId);
      if (known) return known;
      throw new LastcallError('UNREADABLE', { cause: error, details: { terminalId } });
    }
  }

  /** Learns the terminals, up to a bound, so that a database lost later is no surprise. */
  async warm(): Promise<void> {
    let after = 0;
    while (this.#remembered.size < REMEMBERED) {
      const page = await listTerminals(this.#database, after, PAGE);
      for (const terminal of page) this.#remember(terminal);
      const last = page.at(-1);
      if (!last || page.length < PAGE) return;
      after = last.terminalId;
    }
  }

  /** A changed, disabled or removed terminal is not remembered as it was. */
  changed({ names, terminalId }: TerminalChange): void {
    this.#remembered.delete(terminalId);
    for (const { aor, number, username } of names)
      for (const name of [aor, number, username]) this.#remembered.delete(name);
  }

  /** After a time in which changes may have gone unheard. */
  async relearn(): Promise<void> {
    this.#remembered.clear();
    await this.warm();
  }

  /** All names of one tick share a statement. */
  #ask(name: string): Promise<StoredTerminal | null> {
    return new Promise((resolve, reject) => {
      this.#asking.push({ name, resolve, reject });
      if (this.#asking.length === 1) setImmediate(() => void this.#askAll());
    });
  }

  async #askAll(): Promise<void> {
    const asking = this.#asking;
    this.#asking = [];
    try {
      const names = [...new Set(asking.map(({ name }) => name))];
      const found = await findTerminalsByName(this.#database, names, this.#budgetMs);
      for (const { name, resolve } of asking) resolve(found.get(name) ?? null);
    } catch (error) {
      for (const { reject } of asking) reject(error);
    }
  }

  async #cached(name: string): Promise<StoredTerminal | null> {
    return (await this.#cache.find('number', name)) ?? (await this.#cache.find('username', name));
  }

  #remember(terminal: StoredTerminal): void {
    // A number wins over another terminal's username of the same text, as when asked.
    for (const name of [terminal.terminalId, terminal.aor, terminal.username, terminal.number]) {
      const before = this.#remembered.get(name);
      if (before && before.terminalId !== terminal.terminalId && before.number === name) continue;
      this.#remembered.delete(name);
      this.#remembered.set(name, terminal);
    }
    while (this.#remembered.size > REMEMBERED) {
      const oldest = this.#remembered.keys().next().value;
      if (oldest === undefined) return;
      this.#remembered.delete(oldest);
    }
  }
}
