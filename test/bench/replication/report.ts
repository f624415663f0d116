import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../shared/runtime/package-root.ts';
import { chart } from './chart.ts';
import type { Figures } from './scenarios.ts';

export interface Row {
  readonly scenario: string;
  readonly engine: string;
  readonly round: number;
  readonly figures: Figures;
}

export interface Comparison {
  readonly scenario: string;
  readonly figure: string;
  readonly native: number;
  readonly lastcall: number;
  /** lastcall / native; `null` where native is 0. */
  readonly ratio: number | null;
}

/** Prints the medians and, of a whole run, writes them as JSON and as a chart to bench/results. */
export async function report(
  rows: readonly Row[],
  run: { quick: boolean; rounds: number; whole: boolean },
): Promise<void> {
  const comparisons = compare(rows);
  for (const { scenario, figure, native, lastcall, ratio } of comparisons) {
    console.log(
      `${scenario.padEnd(38)} ${figure.padEnd(18)} native ${native.toFixed(1).padStart(10)}  lastcall ${lastcall.toFixed(1).padStart(10)}  ratio ${ratio?.toFixed(2) ?? '-'}`,
    );
  }
  if (!run.whole) return;
  const folder = join(packageRoot(), 'bench', 'results');
  await mkdir(folder, { recursive: true });
  const name = run.quick ? 'replication-quick' : 'replication';
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
  await writeFile(
    join(folder, `${name}.json`),
    `${JSON.stringify({ at: new Date().toISOString(), ...run, machine, comparisons, rows }, null, 2)}\n`,
  );
  await writeFile(join(folder, `${name}.svg`), chart(comparisons));
  console.log(`written to ${join(folder, name)}.json and .svg`);
}

function compare(rows: readonly Row[]): Comparison[] {
  const scenarios = [...new Set(rows.map((row) => row.scenario))];
  return scenarios.flatMap((scenario) => {
    const of = (engine: string, figure: string): number =>
      median(
        rows
          .filter((row) => row.scenario === scenario && row.engine === engine)
          .map((row) => row.figures[figure] ?? Number.NaN),
      );
    const figures = Object.keys(
      rows.find((row) => row.scenario === scenario && row.engine === 'native')?.figures ?? {},
    );
    return figures.map((figure) => {
      const [native, lastcall] = [of('native', figure), of('lastcall', figure)];
      return { scenario, figure, native, lastcall, ratio: native === 0 ? null : lastcall / native };
    });
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
