import { LastcallError } from '../../shared/domain/errors.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { Queryable } from '../../shared/postgres/database.ts';
import type { TerminalChange } from '../../shared/postgres/terminal-watch.ts';
import { findTerminal, findTerminalsByName, listTerminals } from '../../shared/postgres/terminals.ts';
import type { TerminalCache } from '../../shared/redis/terminal-cache.ts';

/** Names, of which a terminal has up to four. */
const REMEMBERED = 800_000;
const PAGE = 5_000;

interface Asked {
  readonly name: string;
  readonly resolve: (found: StoredTerminal | null) => void;
  readonly reject: (error: unknown) => void;
}

export interface NamedTerminalsOptions {
  readonly database: Queryable;
  readonly cache: Pick<TerminalCache, 'find'>;
  readonly budgetMs: number;
  /** Whether changes are heard, and another epoch each time that some may have been missed. */
  readonly watch: { readonly hears: boolean; readonly epoch: number };
}

/**
 * Terminals by what a PBX calls them: number, then username, then address of record. While changes are heard, from memory,
 * else from PostgreSQL; an unknown name is always asked for there. While it is away, what was seen last answers, or what the
 * site's Redis remembers, so that a call can still be journalled and a pending one still be looked up (R12, C8).
 */
export class NamedTerminals {
  readonly #options: NamedTerminalsOptions;
  #asking: Asked[] = [];
  /** What changed while it was being read, a set for each reading under way. */
  readonly #reading = new Set<Set<string | number>>();
  /** The epoch of changes that memory has caught up with. */
  #caughtUp = -1;
  /** By name, and by terminal id. */
  readonly #remembered = new Map<string | number, StoredTerminal>();

  constructor(options: NamedTerminalsOptions) {
    this.#options = options;
  }

  /** Null when there is none. Throws `UNREADABLE` when that cannot be known. */
  async find(name: string): Promise<StoredTerminal | null> {
    const current = this.#current(name);
    if (current) return current;
    try {
      const found = await this.#ask(name);
      if (found === null) this.#remembered.delete(name);
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
    const current = this.#current(terminalId);
    if (current) return current;
    try {
      const { database, budgetMs } = this.#options;
      const [found = null] = await this.#read(async () => {
        const terminal = await findTerminal(database, { terminalId }, budgetMs);
        return terminal ? [terminal] : [];
      });
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
      const from = after;
      const page = await this.#read(() => listTerminals(this.#options.database, from, PAGE));
      const last = page.at(-1);
      if (!last || page.length < PAGE) return;
      after = last.terminalId;
    }
  }

  /** A changed, disabled or removed terminal is not remembered as it was. */
  changed({ names, terminalId }: TerminalChange): void {
    this.#forget([terminalId, ...names.flatMap(({ aor, number, username }) => [aor, number, username])]);
  }

  /** Whoever changed it hears of the change at once, not when it is told. */
  forget(terminalId: number): void {
    const known = this.#remembered.get(terminalId);
    this.#forget(known ? [terminalId, ...namesOf(known)] : [terminalId]);
  }

  /** After a time in which changes may have gone unheard. */
  async relearn(): Promise<void> {
    const { epoch } = this.#options.watch;
    this.#remembered.clear();
    await this.warm();
    this.#caughtUp = epoch;
  }

  #current(name: string | number): StoredTerminal | undefined {
    const { hears, epoch } = this.#options.watch;
    return hears && epoch === this.#caughtUp ? this.#remembered.get(name) : undefined;
  }

  #forget(names: readonly (string | number)[]): void {
    for (const name of names) {
      this.#remembered.delete(name);
      for (const changed of this.#reading) changed.add(name);
    }
  }

  /** Remembers what was read, but for what changed meanwhile. */
  async #read(read: () => Promise<readonly StoredTerminal[]>): Promise<readonly StoredTerminal[]> {
    const changed = new Set<string | number>();
    this.#reading.add(changed);
    const found = await read().finally(() => this.#reading.delete(changed));
    for (const terminal of found) if (!changed.has(terminal.terminalId)) this.#remember(terminal);
    return found;
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
      const { database, budgetMs } = this.#options;
      let found: ReadonlyMap<string, StoredTerminal> = new Map();
      await this.#read(async () => {
        found = await findTerminalsByName(database, names, budgetMs);
        return [...found.values()];
      });
      for (const { name, resolve } of asking) resolve(found.get(name) ?? null);
    } catch (error) {
      for (const { reject } of asking) reject(error);
    }
  }

  async #cached(name: string): Promise<StoredTerminal | null> {
    const { cache } = this.#options;
    return (await cache.find('number', name)) ?? (await cache.find('username', name));
  }

  #remember(terminal: StoredTerminal): void {
    // A number wins over another terminal's username of the same text, as when asked.
    for (const name of [terminal.terminalId, ...namesOf(terminal)]) {
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

const namesOf = ({ aor, number, username }: StoredTerminal): readonly string[] => [aor, username, number];
