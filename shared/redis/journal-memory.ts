import { LastcallError } from '../domain/errors.ts';
import { type LastCalls, mergeLastCalls } from '../domain/last-calls.ts';

/**
 * Records of the time without PostgreSQL and without Redis: one row a terminal, as many terminals as the bound says.
 * Lost with the process, and never silently: beyond the bound nothing is taken.
 */
export class JournalMemory {
  readonly #limitRows: number;
  readonly #rows = new Map<number, LastCalls>();
  #sinceMs: number | null = null;

  constructor(limitRows: number) {
    this.#limitRows = limitRows;
  }

  /** Takes all rows, or none: then throws `JOURNAL_FULL`. */
  add(rows: readonly LastCalls[], nowMs: number): void {
    const added = rows.filter((row) => !this.#rows.has(row.terminalId)).length;
    if (this.#rows.size + added > this.#limitRows) throw new LastcallError('JOURNAL_FULL');
    for (const row of rows) {
      const before = this.#rows.get(row.terminalId);
      this.#rows.set(row.terminalId, before ? mergeLastCalls(before, row) : row);
    }
    this.#sinceMs ??= nowMs;
  }

  /** Takes out what is kept elsewhere now; a row that changed since stays. */
  remove(rows: readonly LastCalls[]): void {
    for (const row of rows) if (this.#rows.get(row.terminalId) === row) this.#rows.delete(row.terminalId);
    if (this.#rows.size === 0) this.#sinceMs = null;
  }

  get(terminalId: number): LastCalls | undefined {
    return this.#rows.get(terminalId);
  }

  all(): LastCalls[] {
    return [...this.#rows.values()];
  }

  get size(): number {
    return this.#rows.size;
  }

  /** When the oldest row came, milliseconds since 1970; null when empty. */
  get sinceMs(): number | null {
    return this.#sinceMs;
  }
}
