import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../shared/runtime/package-root.ts';
import { waitFor } from '../../support/wait-for.ts';
import { SippProcess } from '../chaos/sipp-process.ts';
import type { Contender, Dialed } from './contender.ts';
import type { Callers } from './town.ts';

export interface LoadOptions {
  readonly dialed: Dialed;
  /** Calls a second. */
  readonly rate: number;
  readonly seconds: number;
}

/** One measured load. Times in milliseconds, processor time in microseconds a call. */
export interface LoadFigures {
  readonly calls: number;
  readonly failed: number;
  readonly retransmissions: number;
  /** Of the wanted rate. */
  readonly rateShare: number;
  /** From the INVITE sent to the 180 received. */
  readonly postDialP50Ms: number;
  readonly postDialP99Ms: number;
  readonly serverCpuUs: number;
  readonly databaseCpuUs: number;
  readonly redisCpuUs: number;
  readonly residentMegabytes: number;
  /** Calls whose record was not found in the table within 5 s. */
  readonly unrecorded: number;
  /** No failure, no retransmission, 98 % of the rate, every record found. */
  readonly clean: boolean;
}

/** SIPp's phones at `answererPort`, for all contenders. */
export function startAnswerer(port: number): SippProcess {
  return new SippProcess({
    scenario: 'bench-answer',
    errorFile: join(tmpdir(), `lastcall-bench-answerer-${process.pid}.log`),
    port,
    args: ['-buff_size', '4000000', '-l', '1000000'],
  });
}

/** Runs one load against one contender and looks every record up afterwards. */
export async function runLoad(
  contender: Contender,
  callers: Callers,
  { dialed, rate, seconds }: LoadOptions,
): Promise<LoadFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'lastcall-bench-load-'));
  try {
    const calls = rate * seconds;
    await callers.write(join(folder, 'callers.csv'), calls, dialed);
    const before = contender.used();
    const since = Date.now() * 1000;
    const startedAt = performance.now();
    await runCaller(contender.target, folder, calls, rate);
    const tookMs = performance.now() - startedAt;
    const records = dialed !== 'plain' || contender.recordsPlainCalls;
    const unrecorded = records ? await missingRecords(contender, since, calls) : 0;
    const after = contender.used();
    const perCallUs = (part: keyof typeof before) => (after[part] - before[part]) / 1000 / calls;
    const { failed, retransmissions } = await lastStatistics(join(folder, 'statistics.csv'));
    const delays = await postDialDelays(join(folder, 'delays.log'));
    // The last calls end 200 ms after they began.
    const rateShare = (seconds * 1000) / Math.max(tookMs - CALL_MS, 1);
    return {
      calls,
      failed,
      retransmissions,
      rateShare,
      postDialP50Ms: percentile(delays, 50),
      postDialP99Ms: percentile(delays, 99),
      serverCpuUs: perCallUs('server'),
      databaseCpuUs: perCallUs('database'),
      redisCpuUs: perCallUs('redis'),
      residentMegabytes: contender.residentMegabytes(),
      unrecorded,
      clean: failed === 0 && retransmissions === 0 && rateShare >= 0.98 && unrecorded === 0,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const CALL_MS = 300;
/** Callers give a call up after this, and SIPp is ended for good some time later. */
const RECEIVE_TIMEOUT_MS = 8_000;

/** SIPp calls from `callers.csv` in `folder`, and writes its logs there. */
export async function runCaller(
  target: string,
  folder: string,
  calls: number,
  rate: number,
  name = 'bench-caller',
): Promise<void> {
  const scenario = join(packageRoot(), `sip-scenarios/${name}.xml`);
  const args = [target, '-sf', scenario, '-inf', join(folder, 'callers.csv'), '-i', '127.0.0.1', '-nostdin'];
  args.push('-m', String(calls), '-r', String(rate), '-l', '1000000', '-buff_size', '4000000');
  args.push(
    '-recv_timeout',
    String(RECEIVE_TIMEOUT_MS),
    '-trace_logs',
    '-log_file',
    join(folder, 'delays.log'),
  );
  args.push('-trace_stat', '-stf', join(folder, 'statistics.csv'), '-fd', '1');
  const child = spawn('sipp', args, { stdio: 'ignore', env: { ...process.env, TERM: 'dumb' } });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const deadline = setTimeout(kill, (calls / rate) * 1000 * 3 + 4 * RECEIVE_TIMEOUT_MS);
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  clearTimeout(deadline);
  process.off('exit', kill);
}

async function missingRecords(contender: Contender, since: number, calls: number): Promise<number> {
  let found = 0;
  try {
    await waitFor(
      async () => {
        found = await contender.recordedSince(since);
        return found >= calls;
      },
      { what: 'every record', deadlineMs: 5_000 },
    );
  } catch {
    // Counted below.
  }
  return Math.max(0, calls - found);
}

/** The cumulative columns of the last line that SIPp wrote. */
export async function lastStatistics(file: string): Promise<{ failed: number; retransmissions: number }> {
  const [head = '', ...lines] = (await readFile(file, 'latin1')).trim().split('\n');
  const columns = head.split(';');
  const values = lines.at(-1)?.split(';') ?? [];
  const value = (column: string) => Number(values[columns.indexOf(column)] ?? Number.NaN);
  return { failed: value('FailedCall(C)'), retransmissions: value('Retransmissions(C)') };
}

async function postDialDelays(file: string): Promise<number[]> {
  const text = await readFile(file, 'latin1').catch(() => '');
  return text
    .split('\n')
    .map((line) => line.match(/[\d.]+/g)?.map(Number) ?? [])
    .filter((times) => times.length >= 4)
    .map(([s = 0, us = 0, rangS = 0, rangUs = 0]) => (rangS - s) * 1000 + (rangUs - us) / 1000)
    .sort((a, b) => a - b);
}

export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * share) / 100))] ?? Number.NaN;
