import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../shared/runtime/package-root.ts';

/** Writes a benchmark's figures, and the machine that they are of, to bench/results/NAME.json, and its chart to NAME.svg. */
export async function writeResult(name: string, figures: object, chart?: string): Promise<void> {
  const folder = join(packageRoot(), 'bench', 'results');
  await mkdir(folder, { recursive: true });
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
  const text = JSON.stringify({ at: new Date().toISOString(), machine, ...figures }, null, 2);
  const file = join(folder, `${name}.json`);
  await writeFile(file, `${text}\n`);
  if (chart !== undefined) await writeFile(join(folder, `${name}.svg`), chart);
  console.log(`written to ${file}`);
}
