/** `npm run bench -- replication [--quick] [--rounds N] [--only TEXT]`: ours and native logical replication, interleaved in the same run. */
import { parseArgs } from 'node:util';
import { UsageError } from '../run-named.ts';
import type { Engine } from './engine.ts';
import { type Row, report } from './report.ts';
import { catchUp, type Figures, fill, inTurn, resynchronise, steady } from './scenarios.ts';
import { buildStage, type Stage } from './stage.ts';

interface Scenario {
  readonly name: string;
  readonly terminals: number;
  readonly run: (engines: readonly Engine[]) => Promise<Map<Engine, Figures>>;
  /** Once, and ours alone: it shows what our worker needs, and takes long. */
  readonly oursOnce?: boolean;
}

export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string', default: '' },
    },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  const stage = await buildStage();
  const all = scenarios(stage, values.quick);
  const chosen = all.filter(({ name }) => name.includes(values.only));
  const stop = async (): Promise<void> => {
    await Promise.all(stage.engines.map((engine) => engine.remove().catch(() => undefined)));
    await stage.remove();
  };
  // Interrupted, nothing is dropped politely: that would wait for what is under way.
  const abandon = async (): Promise<never> => {
    for (const worker of stage.engines.flatMap((engine) => engine.workers())) worker.kill('SIGKILL');
    await stage.remove();
    process.exit(1);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void abandon());
  if (chosen.length === 0) {
    await stop();
    const names = all.map(({ name }) => `\n  ${name}`).join('');
    throw new UsageError(`no scenario is named like "${values.only}"; there are:${names}`);
  }
  const rows: Row[] = [];
  try {
    for (const scenario of chosen) rows.push(...(await measure(stage, scenario, rounds)));
  } finally {
    await stop();
    // Also when a scenario failed: the others took long.
    await report(rows, { quick: values.quick, rounds, whole: values.only === '' });
  }
}

function scenarios(stage: Stage, quick: boolean): Scenario[] {
  const seconds = quick ? 4 : 15;
  const many = quick ? 100_000 : 1_000_000;
  const writes = quick ? 40_000 : 300_000;
  const hotWrites = quick ? 40_000 : 1_000_000;
  const backlog = quick ? 200_000 : 10_000_000;
  return [
    ...[2_000, 5_000, null].map((perSecond) => ({
      name: `${perSecond ? `${perSecond}/s` : 'full speed'}, 10 k terminals`,
      terminals: 10_000,
      run: (engines: readonly Engine[]) =>
        inTurn(stage, engines, (engine) =>
          steady(stage, engine, { terminals: 10_000, seconds, ...(perSecond && { perSecond }) }),
        ),
    })),
    ...[10_000, many].map((terminals) => ({
      name: `catch-up, ${terminals} terminals`,
      terminals,
      run: (engines: readonly Engine[]) => catchUp(stage, engines, { terminals, writes }),
    })),
    {
      name: 'catch-up, hot set of 1 k terminals',
      terminals: 1_000,
      run: (engines) => catchUp(stage, engines, { terminals: 1_000, writes: hotWrites }),
    },
    {
      name: `backlog of ${backlog} writes over ${many} terminals`,
      terminals: many,
      oursOnce: true,
      run: (engines) => catchUp(stage, engines, { terminals: many, writes: backlog, bulk: 100 }),
    },
    {
      name: `resync of ${many} rows`,
      terminals: many,
      run: (engines) => inTurn(stage, engines, (engine) => resynchronise(engine, many)),
    },
  ];
}

async function measure(stage: Stage, scenario: Scenario, allRounds: number): Promise<Row[]> {
  const { name, terminals, run, oursOnce = false } = scenario;
  const rounds = oursOnce ? 1 : allRounds;
  const engines = stage.engines.filter((engine) => !oursOnce || engine.name === 'lastcall');
  const rows: Row[] = [];
  await fill(stage.origin, terminals);
  for (let round = 1; round <= rounds; round++) {
    for (const [engine, figures] of await run(engines)) {
      rows.push({ scenario: name, engine: engine.name, round, figures });
      const shown = Object.entries(figures).map(([figure, value]) => `${figure} ${value.toFixed(1)}`);
      console.log(`${name} | ${engine.name} ${round}/${rounds} | ${shown.join(', ')}`);
    }
  }
  return rows;
}
