import type { Direction } from './answers.ts';

const KEPT_SAMPLES = 900;

/** One direction over time; `at` in Unix seconds, null where nothing was known. */
export interface Series {
  readonly at: number[];
  readonly lagMs: (number | null)[];
  readonly rowsPerSecond: (number | null)[];
  /** At the last sample. */
  rowsApplied: number;
}

export const labelOf = ({ from, to }: Pick<Direction, 'from' | 'to'>): string => `${from}>${to}`;

/** Adds how each direction stands now. */
export function addSample(
  series: Map<string, Series>,
  directions: readonly Direction[],
  nowMs: number,
): void {
  for (const direction of directions) {
    const label = labelOf(direction);
    const before = series.get(label);
    const known = before ?? { at: [], lagMs: [], rowsPerSecond: [], rowsApplied: 0 };
    series.set(label, known);
    const elapsed = nowMs / 1000 - (known.at.at(-1) ?? 0);
    const rows = before ? direction.rowsApplied - before.rowsApplied : null;
    known.rowsApplied = direction.rowsApplied;
    known.at.push(nowMs / 1000);
    known.lagMs.push(direction.lagMs);
    // A replicator that started again counts from zero.
    known.rowsPerSecond.push(rows === null || rows < 0 ? null : rows / elapsed);
    for (const values of [known.at, known.lagMs, known.rowsPerSecond])
      if (values.length > KEPT_SAMPLES) values.shift();
  }
}
