import { writeResult } from '../write-result.ts';
import { chart } from './chart.ts';
import type { LoadFigures } from './load.ts';

export interface Row {
  readonly dialed: string;
  readonly rate: number;
  readonly contender: string;
  /** 0: a step of the ladder. */
  readonly round: number;
  readonly figures: LoadFigures;
}

/** Prints the medians side by side as a Markdown table and writes everything, with a chart, to bench/results. */
export async function report(
  rows: readonly Row[],
  run: { quick: boolean; rounds: number; terminals: number },
): Promise<void> {
  const lines = [
    '| load | contender | CPU us a call: server + database + Redis | post-dial delay p50 / p99 ms | clean |',
    '|---|---|---|---|---|',
    ...groups(rows).map(inTable),
    ...highestCleanRates(rows),
  ];
  console.log(lines.join('\n'));
  await writeResult(run.quick ? 'sip-quick' : 'sip', { ...run, rows }, chart(rows));
}

function groups(rows: readonly Row[]): Row[][] {
  const byLoad = new Map<string, Row[]>();
  for (const row of rows.filter(({ round }) => round > 0)) {
    const load = `${row.dialed} ${row.rate} ${row.contender}`;
    byLoad.set(load, [...(byLoad.get(load) ?? []), row]);
  }
  return [...byLoad.values()];
}

function inTable(group: readonly Row[]): string {
  const [{ dialed, rate, contender } = { dialed: '', rate: 0, contender: '' }] = group;
  const of = (figure: Exclude<keyof LoadFigures, 'clean'>, digits: number) =>
    median(group.map(({ figures }) => figures[figure])).toFixed(digits);
  const clean = group.filter(({ figures }) => figures.clean).length;
  const cpu = `${of('serverCpuUs', 0)} + ${of('databaseCpuUs', 0)} + ${of('redisCpuUs', 0)}`;
  const delay = `${of('postDialP50Ms', 2)} / ${of('postDialP99Ms', 1)}`;
  return `| ${dialed} at ${rate}/s | ${contender} | ${cpu} | ${delay} | ${clean} of ${group.length} |`;
}

function highestCleanRates(rows: readonly Row[]): string[] {
  const ladder = rows.filter(({ round }) => round === 0);
  return [...new Set(ladder.map(({ contender }) => contender))].map((contender) => {
    const clean = ladder.filter((row) => row.contender === contender && row.figures.clean);
    return `| highest clean rate of *52 | ${contender} | ${Math.max(0, ...clean.map(({ rate }) => rate))}/s | | |`;
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
