import { type LastCalls, mergeLastCalls } from '../../domain/last-calls.ts';

/** Longer than an asynchronous standby lags, and than its promotion takes. */
const GENERATION_MS = 60_000;
const CAPACITY = 50_000;

/**
 * What this process wrote to the table in the last one to two minutes, merged per terminal. A promoted asynchronous
 * standby may never have had it. Two generations: the older one is dropped as a whole. Beyond 50,000 terminals the
 * generations follow faster.
 */
export class RecentWrites {
  readonly #now: () => number;
  #younger = new Map<number, LastCalls>();
  #older = new Map<number, LastCalls>();
  #turnedAtMs: number;

  /** `now` in monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#turnedAtMs = now();
  }

  keep(rows: readonly LastCalls[]): void {
    if (this.#now() - this.#turnedAtMs >= GENERATION_MS || this.#younger.size >= CAPACITY) this.#turn();
    for (const row of rows) {
      const before = this.#younger.get(row.terminalId);
      this.#younger.set(row.terminalId, before ? mergeLastCalls(before, row) : row);
    }
  }

  find(terminalId: number): LastCalls | undefined {
    const younger = this.#younger.get(terminalId);
    const older = this.#older.get(terminalId);
    return younger && older ? mergeLastCalls(older, younger) : (younger ?? older);
  }

  all(): LastCalls[] {
    const ids = new Set([...this.#older.keys(), ...this.#younger.keys()]);
    return [...ids].flatMap((id) => this.find(id) ?? []);
  }

  #turn(): void {
    this.#older = this.#younger;
    this.#younger = new Map();
    this.#turnedAtMs = this.#now();
  }
}
