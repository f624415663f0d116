import type { Judgement } from './freshest-model.ts';
import type { Findings, WrongLook } from './town.ts';

/** Calls through a site that may fail: those under way in a process that was killed, or begun before it was back. */
export interface Forgiven {
  readonly site: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface FaultReport {
  readonly fault: string;
  readonly durationMs: number;
  /** By phone and, reported, by the PBX. */
  readonly calls: number;
  readonly looks: number;
  /** Under way in a process that was killed: nobody can answer for it. */
  readonly cutOff: number;
  readonly failed: number;
  /** Of calls and of looks. */
  readonly wrong: number;
  readonly refused: number;
  /** Rows of the model that a site does not show. */
  readonly lost: number;
  readonly salvaged: number;
  /** From the fault until every direction streams. */
  readonly streamingMs: number;
  readonly equalMs: number;
  /** Of the failover, with their times. */
  readonly steps: readonly string[];
  /** Each call that was not right, and each lost row. */
  readonly remarks: readonly string[];
  /** Why the bar does not hold; empty when it does. */
  readonly faults: readonly string[];
}

export const orList = (numbers: Iterable<string | null>): string =>
  [...numbers].map((number) => number ?? 'nobody').join(' or ');

/** The report's part that is about calls and looks. */
export function tallyFindings(
  { calls, looks, wrongLooks }: Findings,
  { forgiven, mayRefuse = false }: { readonly forgiven: Forgiven | null; readonly mayRefuse?: boolean },
): Pick<FaultReport, 'calls' | 'looks' | 'cutOff' | 'failed' | 'wrong' | 'refused' | 'remarks' | 'faults'> {
  const of = (verdict: string) => calls.filter((judgement) => judgement.verdict === verdict);
  const isCutOff = ({ call }: Judgement) => isForgiven(call, forgiven);
  const notServed = [...of('refused'), ...of('failed')];
  const [refused, failed] = [of('refused'), of('failed')].map((some) => some.filter((one) => !isCutOff(one)));
  const wrong = of('wrong').length + wrongLooks.length;
  return {
    calls: calls.length,
    looks,
    cutOff: notServed.filter(isCutOff).length,
    failed: failed?.length ?? 0,
    wrong,
    refused: refused?.length ?? 0,
    remarks: [
      ...of('wrong').map(remarkOf),
      ...wrongLooks.map(remarkOfLook),
      ...notServed.filter((one) => !isCutOff(one)).map(remarkOf),
      ...notServed.filter(isCutOff).map((one) => `(cut off) ${remarkOf(one)}`),
    ],
    faults: [
      ...(calls.length === 0 ? ['no calls'] : []),
      ...(looks === 0 ? ['no looks'] : []),
      ...counted(wrong, 'wrong numbers'),
      ...(mayRefuse ? [] : counted(failed?.length ?? 0, 'calls failed')),
      ...(mayRefuse ? [] : counted(refused?.length ?? 0, 'star codes refused')),
    ],
  };
}

/** `3 records lost`; nothing for none. */
export const counted = (count: number, what: string): string[] => (count > 0 ? [`${count} ${what}`] : []);

const isForgiven = (call: Judgement['call'], forgiven: Forgiven | null): boolean =>
  forgiven !== null &&
  call.site === forgiven.site &&
  call.beganMs < forgiven.toMs &&
  call.endedMs > forgiven.fromMs;

const timeOf = (ms: number): string => new Date(ms).toISOString().slice(11, 23);

function remarkOfLook({ site, subscriber, group, endedMs, found, expected }: WrongLook): string {
  return `wrong: ${timeOf(endedMs)} at ${site} the api knows ${orList([found])} as ${subscriber}'s last ${group}, expected ${orList(expected)}`;
}

function remarkOf({ call, verdict, expected }: Judgement): string {
  const { site } = call;
  const time = timeOf(call.beganMs);
  const took = Math.round(call.endedMs - call.beganMs);
  const answer = `${call.status ?? 'no answer'} after ${took} ms, reached ${orList(call.reached) || 'nobody'}`;
  return `${verdict}: ${time} at ${site} ${call.caller} dialed ${call.dialed}: ${answer}, expected ${orList(expected)}`;
}

const COLUMNS = [
  'fault',
  'seconds',
  'calls',
  'looks',
  'cut off',
  'failed',
  'wrong',
  'refused',
  'lost',
  'salvaged',
  'streaming s',
  'equal s',
  'bar',
];

const sumOf = (reports: readonly FaultReport[], of: (report: FaultReport) => number): number =>
  reports.reduce((sum, report) => sum + of(report), 0);

/** The line that the run ends with. */
export function reportSummary(reports: readonly FaultReport[]): string {
  const [calls, looks] = [sumOf(reports, (one) => one.calls), sumOf(reports, (one) => one.looks)];
  const bad = (['failed', 'wrong', 'refused', 'lost'] as const).map(
    (what) => `${sumOf(reports, (one) => one[what])} ${what}`,
  );
  return `${reports.length} faults, ${calls} calls, ${looks} looks: ${bad.join(', ')}`;
}

/** The table that the run ends with. */
export function reportTable(reports: readonly FaultReport[]): string {
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  const rows = reports.map((report) => [
    report.fault,
    seconds(report.durationMs),
    ...[report.calls, report.looks, report.cutOff, report.failed].map(String),
    ...[report.wrong, report.refused, report.lost, report.salvaged].map(String),
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
