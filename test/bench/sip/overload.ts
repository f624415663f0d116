/** `npm run bench -- overload [--clean 1000] [--times 3] [--seconds 12]`: more calls than it can serve, then fewer again. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../../../shared/servers/free-port.ts';
import { startPostgres } from '../../support/postgres.ts';
import { writeResult } from '../write-result.ts';
import { startLastcall } from './lastcall-contender.ts';
import { percentile, runCaller, runLoad, startAnswerer } from './load.ts';
import { Callers } from './town.ts';

const TERMINALS = 100_000;
const LADDER = [500, 700, 900, 1_100, 1_300, 1_600, 2_000];
/** Until the load is found. */
const SETTLING_MS = 2_000;
const AFTERWARDS_SECONDS = 8;

/** What one call heard first: 180 or 503. */
interface Heard {
  readonly what: 'rang' | 'shed';
  readonly dialedMs: number;
  readonly afterMs: number;
}

export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      clean: { type: 'string' },
      times: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '12' },
    },
  });
  const postgres = await startPostgres({ settings: { fsync: 'on', shared_buffers: '1GB' } });
  const answererPort = await freePort();
  const answerer = startAnswerer(answererPort);
  const contender = await startLastcall({ postgres, terminals: TERMINALS, answererPort });
  const callers = new Callers(TERMINALS);
  try {
    await runLoad(contender, callers, { dialed: '*52', rate: 500, seconds: 10 });
    let clean = Number(values.clean ?? 0);
    for (const rate of values.clean === undefined ? LADDER : []) {
      const { clean: isClean } = await runLoad(contender, callers, { dialed: '*52', rate, seconds: 5 });
      console.log(`${rate}/s: ${isClean ? 'clean' : 'not clean'}`);
      if (!isClean) break;
      clean = rate;
    }
    const rate = clean * Number(values.times);
    const during = await called(contender.target, callers, rate, Number(values.seconds));
    const after = await called(contender.target, callers, Math.round(clean * 0.8), AFTERWARDS_SECONDS);
    const figures = { clean, rate, ...shedding(during), ...recovery(after) };
    console.log(figures);
    await writeResult('overload', figures);
  } finally {
    await contender.stop();
    await answerer.kill();
    await postgres.remove();
  }
}

async function called(target: string, callers: Callers, rate: number, seconds: number): Promise<Heard[]> {
  const folder = await mkdtemp(join(tmpdir(), 'lastcall-overload-'));
  try {
    const calls = rate * seconds;
    await callers.write(join(folder, 'callers.csv'), calls, '*52');
    await runCaller(target, folder, calls, rate, 'bench-overload-caller');
    const text = await readFile(join(folder, 'delays.log'), 'latin1');
    return text.split('\n').flatMap(heard);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function heard(line: string): Heard[] {
  const what = /rang|shed/.exec(line)?.[0];
  const [s = 0, us = 0, thenS = 0, thenUs = 0] = line.match(/[\d.]+/g)?.map(Number) ?? [];
  if ((what !== 'rang' && what !== 'shed') || thenS === 0) return [];
  return [{ what, dialedMs: s * 1000 + us / 1000, afterMs: (thenS - s) * 1000 + (thenUs - us) / 1000 }];
}

/** Once it has settled: how many calls rang in a second, and how soon the others were refused. */
function shedding(calls: readonly Heard[]) {
  const beganMs = Math.min(...calls.map(({ dialedMs }) => dialedMs));
  const endedMs = Math.max(...calls.map(({ dialedMs }) => dialedMs));
  const settled = calls.filter(({ dialedMs }) => dialedMs > beganMs + SETTLING_MS);
  const rang = settled.filter(({ what }) => what === 'rang');
  const shed = settled.filter(({ what }) => what === 'shed');
  const seconds = (endedMs - beganMs - SETTLING_MS) / 1000;
  return {
    servedPerSecond: Math.round(rang.length / seconds),
    shedPerSecond: Math.round(shed.length / seconds),
    ringingP50Ms: delay(rang, 50),
    ringingP99Ms: delay(rang, 99),
    shedP50Ms: delay(shed, 50),
    shedP99Ms: delay(shed, 99),
  };
}

/** From the end of the overload to the last refusal. */
function recovery(calls: readonly Heard[]) {
  const beganMs = Math.min(...calls.map(({ dialedMs }) => dialedMs));
  const last = Math.max(beganMs, ...calls.filter(({ what }) => what === 'shed').map((one) => one.dialedMs));
  return { recoveredAfterMs: Math.round(last - beganMs) };
}

function delay(calls: readonly Heard[], share: number): number {
  const sorted = calls.map(({ afterMs }) => afterMs).sort((a, b) => a - b);
  return Math.round(percentile(sorted, share) * 10) / 10;
}
