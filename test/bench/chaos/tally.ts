/** What the calls of one fault came to. */
export interface Tally {
  calls: number;
  /** Star codes that reached somebody else than the model's freshest number. */
  wrong: number;
  /** When calls had no final answer, or one that says the server and not the subscriber is at fault. */
  readonly failedAtMs: number[];
  /** When star codes were answered 480 or 503 although the model has a number. */
  readonly refusedAtMs: number[];
  readonly remarks: string[];
}

export const emptyTally = (): Tally => ({ calls: 0, wrong: 0, failedAtMs: [], refusedAtMs: [], remarks: [] });

export interface FaultReport extends Tally {
  readonly fault: string;
  readonly durationMs: number;
  /** Rows of the model that no site has any more. */
  readonly lost: number;
  readonly salvaged: number;
  readonly streamingMs: number | null;
  readonly equalMs: number | null;
  /** Why the bar does not hold; empty when it does. */
  readonly faults: readonly string[];
}

const COLUMNS = [
  'fault',
  'seconds',
  'calls',
  'failed',
  'wrong',
  'refused',
  'lost',
  'salvaged',
  'streaming s',
  'equal s',
  'bar',
];

/** The table that the run ends with. */
export function reportTable(reports: readonly FaultReport[]): string {
  const seconds = (ms: number | null) => (ms === null ? '-' : (ms / 1000).toFixed(1));
  const rows = reports.map((report) => [
    report.fault,
    seconds(report.durationMs),
    ...[
      report.calls,
      report.failedAtMs.length,
      report.wrong,
      report.refusedAtMs.length,
      report.lost,
      report.salvaged,
    ].map(String),
    seconds(report.streamingMs),
    seconds(report.equalMs),
    report.faults.length === 0 ? 'holds' : report.faults.join('; '),
  ]);
  const widths = COLUMNS.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(COLUMNS), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
