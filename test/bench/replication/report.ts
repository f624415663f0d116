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
  /** Medians, by engine. */
  readonly medians: Readonly<Record<string, number>>;
  /** lastcall / native; `null` where native is 0. */
  readonly ratio: number | null;
}

/** Prints the medians and, of a whole run, writes them as JSON and as a chart to bench/results. */
export async function report(
  rows: readonly Row[],
  run: { quick: boolean; rounds: number; whole: boolean },
): Promise<void> {
  const comparisons = compare(rows);
  for (const { scenario, figure, medians, ratio } of comparisons) {
    const shown = Object.entries(medians).map(
      ([engine, value]) => `${engine} ${value.toFixed(1).padStart(9)}`,
    );
    console.log(
      `${scenario.padEnd(36)} ${figure.padEnd(17)} ${shown.join('  ')}  ratio ${ratio?.toFixed(2) ?? '-'}`,
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
  const result = { at: new Date().toISOString(), ...run, machine, comparisons, rows };
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(folder, `${name}.svg`), chart(comparisons));
  console.log(`written to ${join(folder, name)}.json and .svg`);
}

function compare(rows: readonly Row[]): Comparison[] {
  const engines = [...new Set(rows.map((row) => row.engine))];
  return [...new Set(rows.map((row) => row.scenario))].flatMap((scenario) => {
    const ofScenario = rows.filter((row) => row.scenario === scenario);
    const figures = new Set(ofScenario.flatMap((row) => Object.keys(row.figures)));
    return [...figures].map((figure) => {
      const medians: Record<string, number> = {};
      for (const engine of engines) {
        const values = ofScenario.flatMap((row) =>
          row.engine === engine ? (row.figures[figure] ?? []) : [],
        );
        if (values.length > 0) medians[engine] = median(values);
      }
      const { native, lastcall } = medians;
      return {
        scenario,
        figure,
        medians,
        ratio: native && lastcall !== undefined ? lastcall / native : null,
      };
    });
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
