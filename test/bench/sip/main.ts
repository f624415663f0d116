/** `npm run bench -- sip [--quick] [--rounds N] [--rates 500,1000] [--dials *52,plain] [--only NAMES] [--processes N] [--no-ladder] [--profile]`: Lastcall beside Kamailio; as `records` with its call records. */
import { parseArgs } from 'node:util';
import { freePort } from '../../../shared/servers/free-port.ts';
import type { PostgresServer } from '../../../shared/servers/postgres-server.ts';
import { startPostgres } from '../../support/postgres.ts';
import type { Contender, Dialed } from './contender.ts';
import { startKamailio } from './kamailio-contender.ts';
import { startLastcall } from './lastcall-contender.ts';
import { type LoadFigures, runLoad, startAnswerer } from './load.ts';
import { dearestFunctions, dearestStatements, profileArgs, STATEMENT_STATISTICS } from './profile.ts';
import { type Row, report } from './report.ts';
import { Callers } from './town.ts';

const TERMINALS = 100_000;
/** The ladder on which the highest clean rate is looked for. */
const LADDER = [500, 750, 1_000, 1_250, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000];

export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      rates: { type: 'string', default: '500,1000' },
      dials: { type: 'string', default: 'plain,*52,*69' },
      processes: { type: 'string', default: '1' },
      only: { type: 'string', default: 'lastcall,kamailio' },
      profile: { type: 'boolean', default: false },
      ladder: { type: 'boolean', default: true },
    },
    allowNegative: true,
  });
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  const seconds = values.quick ? 5 : 12;
  const rates = values.rates.split(',').map(Number);
  const dials = values.dials.split(',') as Dialed[];
  const stage = await buildStage(values.only.split(','), values.profile, Number(values.processes));
  const rows: Row[] = [];
  try {
    for (const { contender } of stage.contenders) await warmUp(contender, stage.callers);
    for (const dialed of dials)
      for (const rate of rates)
        for (let round = 1; round <= rounds; round++)
          for (const { contender } of stage.contenders.filter((one) => one.contender.dials.includes(dialed)))
            rows.push(await measured(contender, stage.callers, { dialed, rate, seconds }, round));
    if (values.ladder)
      for (const { contender } of stage.contenders)
        rows.push(...(await climb(contender, stage.callers, values.quick ? 3 : 8)));
    if (values.profile) console.log(await dearestStatements(stage.postgres));
  } finally {
    await stage.stop();
    await report(rows, { quick: values.quick, rounds, terminals: TERMINALS });
  }
  if (values.profile) console.log(await dearestFunctions(stage.profileFolder));
}

interface Stage {
  readonly postgres: PostgresServer;
  readonly contenders: readonly { readonly contender: Contender }[];
  readonly callers: Callers;
  readonly profileFolder: string;
  stop(): Promise<void>;
}

/** Both contenders on one PostgreSQL with durable commits, one answerer for both. */
async function buildStage(only: readonly string[], profile: boolean, processes: number): Promise<Stage> {
  const postgres = await startPostgres({
    settings: {
      fsync: 'on',
      shared_buffers: '1GB',
      max_wal_size: '4GB',
      ...(profile && STATEMENT_STATISTICS),
    },
  });
  const answererPort = await freePort();
  const answerer = startAnswerer(answererPort);
  const { folder, args } = await profileArgs(profile);
  const options = { postgres, terminals: TERMINALS, answererPort };
  const contenders: { contender: Contender }[] = [];
  if (only.includes('lastcall'))
    contenders.push({ contender: await startLastcall({ ...options, nodeArgs: args, processes }) });
  if (only.includes('records'))
    contenders.push({ contender: await startLastcall({ ...options, name: 'records', recordDays: 7 }) });
  if (only.includes('kamailio')) contenders.push({ contender: await startKamailio(options) });
  return {
    postgres,
    contenders,
    callers: new Callers(TERMINALS),
    profileFolder: folder,
    async stop() {
      for (const { contender } of contenders) await contender.stop();
      await answerer.kill();
      await postgres.remove();
    },
  };
}

/** A server runs for weeks: until its code is compiled and its caches are as full as ever. */
async function warmUp(contender: Contender, callers: Callers): Promise<void> {
  for (const dialed of contender.dials) await runLoad(contender, callers, { dialed, rate: 500, seconds: 8 });
}

async function measured(
  contender: Contender,
  callers: Callers,
  load: { dialed: Dialed; rate: number; seconds: number },
  round: number,
): Promise<Row> {
  const figures = await runLoad(contender, callers, load);
  console.log(`${load.dialed} at ${load.rate}/s | ${contender.name} ${round} | ${inWords(figures)}`);
  return { ...load, contender: contender.name, round, figures };
}

/** *52 faster and faster until a step is not clean, twice. */
async function climb(contender: Contender, callers: Callers, seconds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const rate of LADDER) {
    const load = { dialed: '*52' as const, rate, seconds };
    let row = await measured(contender, callers, load, 0);
    if (!row.figures.clean) row = await measured(contender, callers, load, 0);
    rows.push(row);
    if (!row.figures.clean) break;
  }
  return rows;
}

function inWords(figures: LoadFigures): string {
  const { clean, failed, retransmissions, unrecorded, rateShare } = figures;
  const cpu = `CPU ${figures.serverCpuUs.toFixed(0)} + ${figures.databaseCpuUs.toFixed(0)} + ${figures.redisCpuUs.toFixed(0)} us`;
  const delay = `post-dial ${figures.postDialP50Ms.toFixed(2)} / ${figures.postDialP99Ms.toFixed(1)} ms`;
  const state = clean
    ? 'clean'
    : `NOT CLEAN: ${failed} failed, ${retransmissions} retransmitted, ${unrecorded} unrecorded, ${(rateShare * 100).toFixed(0)} % of the rate`;
  return `${cpu}, ${delay}, ${figures.residentMegabytes.toFixed(0)} MB, ${state}`;
}
