#!/usr/bin/env node
/** `npm run bench -- replication [--quick] [--rounds N]`: ours and native logical replication, interleaved in the same run. */
import { parseArgs } from 'node:util';
import type { Engine } from './replication/engine.ts';
import { type Row, report } from './replication/report.ts';
import { catchUp, type Figures, fill, resynchronise, steady, withEngine } from './replication/scenarios.ts';
import { buildStage } from './replication/stage.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, rounds: { type: 'string' }, only: { type: 'string' } },
});
const quick = values.quick ?? false;
const rounds = Number(values.rounds ?? (quick ? 1 : 3));
const seconds = quick ? 4 : 15;
const many = quick ? 100_000 : 1_000_000;

const stage = await buildStage();
const rows: Row[] = [];

type Scenario = { name: string; terminals: number; run: (engine: Engine) => Promise<Figures> };
const scenarios: Scenario[] = [
  ...[2_000, 5_000, undefined].map((perSecond) => ({
    name: `${perSecond ? `${perSecond}/s` : 'full speed'}, 10 k terminals`,
    terminals: 10_000,
    run: (engine: Engine) =>
      steady(stage, engine, { terminals: 10_000, seconds, ...(perSecond && { perSecond }) }),
  })),
  ...[10_000, many].map((terminals) => ({
    name: `catch-up, ${terminals} terminals`,
    terminals,
    run: (engine: Engine) => catchUp(stage, engine, { terminals, writes: quick ? 40_000 : 400_000 }),
  })),
  {
    name: 'catch-up, hot set of 1 k terminals',
    terminals: 1_000,
    run: (engine) => catchUp(stage, engine, { terminals: 1_000, writes: quick ? 40_000 : 1_000_000 }),
  },
  { name: `resync of ${many} rows`, terminals: many, run: (engine) => resynchronise(engine, many) },
];

const stop = async (): Promise<void> => {
  await Promise.all(stage.engines.map((engine) => engine.remove().catch(() => undefined)));
  await stage.remove();
};
process.once('SIGINT', () => void stop().then(() => process.exit(130)));
process.once('SIGTERM', () => void stop().then(() => process.exit(143)));

try {
  for (const { name, terminals, run } of scenarios.filter(
    (scenario) => !values.only || scenario.name.includes(values.only),
  )) {
    await fill(stage.origin, terminals);
    for (let round = 1; round <= rounds; round++) {
      for (const engine of stage.engines) {
        const figures = await withEngine(stage, engine, () => run(engine));
        rows.push({ scenario: name, engine: engine.name, round, figures });
        const shown = Object.entries(figures).map(([figure, value]) => `${figure} ${value.toFixed(1)}`);
        console.log(`${name} | ${engine.name} ${round}/${rounds} | ${shown.join(', ')}`);
      }
    }
  }
  if (!values.only) await report(rows, { quick, rounds });
} finally {
  await stop();
}
