import type { Judgement } from './freshest-model.ts';

/** A call of a site's phones, judged. */
export type SiteJudgement = Judgement & { readonly site: string };

/** Calls of a site that may fail: those under way in a process that was killed, or begun before it was back. */
export interface Forgiven {
  readonly site: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface FaultReport {
  readonly fault: string;
  readonly durationMs: number;
  readonly calls: number;
  readonly failed: number;
  readonly wrong: number;
  readonly refused: number;
  /** Rows of the model that a site does not show. */
  readonly lost: number;
  readonly salvaged: number;
  readonly streamingMs: number;
  readonly equalMs: number;
  /** Each call that was not right, and each lost row. */
  readonly remarks: readonly string[];
  /** Why the bar does not hold; empty when it does. */
  readonly faults: readonly string[];
}

export const orList = (numbers: Iterable<string | null>): string =>
  [...numbers].map((number) => number ?? 'nobody').join(' or ');

/** The report's part that is about calls. */
export function tallyCalls(
  judged: readonly SiteJudgement[],
  forgiven: Forgiven | null,
): Pick<FaultReport, 'calls' | 'failed' | 'wrong' | 'refused' | 'remarks' | 'faults'> {
  const of = (verdict: string) => judged.filter((judgement) => judgement.verdict === verdict);
  const [failed, wrong, refused] = [of('failed'), of('wrong'), of('refused')];
  const notServed = [...refused, ...failed];
  const unforgiven = (some: readonly SiteJudgement[]) => some.filter((one) => !isForgiven(one, forgiven));
  return {
    calls: judged.length,
    failed: failed.length,
    wrong: wrong.length,
    refused: refused.length,
    remarks: [
      ...[...wrong, ...unforgiven(notServed)].map(remarkOf),
      ...notServed.filter((one) => isForgiven(one, forgiven)).map((one) => `(forgiven) ${remarkOf(one)}`),
    ],
    faults: [
      ...(judged.length === 0 ? ['no calls'] : []),
      ...counted(unforgiven(failed).length, 'calls failed'),
      ...counted(wrong.length, 'wrong numbers'),
      ...counted(unforgiven(refused).length, 'star codes refused'),
    ],
  };
}

/** `3 records lost`; nothing for none. */
export const counted = (count: number, what: string): string[] => (count > 0 ? [`${count} ${what}`] : []);

const isForgiven = ({ site, call }: SiteJudgement, forgiven: Forgiven | null): boolean =>
  forgiven !== null &&
  site === forgiven.site &&
  call.beganMs < forgiven.toMs &&
  call.endedMs > forgiven.fromMs;

function remarkOf({ site, call, verdict, expected }: SiteJudgement): string {
  const time = new Date(call.beganMs).toISOString().slice(11, 23);
  const took = Math.round(call.endedMs - call.beganMs);
  const answer = `${call.status ?? 'no answer'} after ${took} ms, reached ${orList(call.reached) || 'nobody'}`;
  return `${verdict}: ${time} at ${site} ${call.caller} dialed ${call.dialed}: ${answer}, expected ${orList(expected)}`;
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
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  const rows = reports.map((report) => [
    report.fault,
    seconds(report.durationMs),
    ...[report.calls, report.failed, report.wrong, report.refused, report.lost, report.salvaged].map(String),
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
