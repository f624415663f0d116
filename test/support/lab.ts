import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Endpoints } from '../../services/lab/endpoints.ts';
import { parseCommandLine } from '../../services/lab/options.ts';
import { neededPorts, planLab } from '../../services/lab/plan.ts';
import { takenPorts } from '../../services/lab/port-holder.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import { waitFor } from './wait-for.ts';

export type ProgramRun = { readonly status: number; readonly stdout: string; readonly stderr: string };

/** A lab of its own for one test file, started as a user starts it. */
export type RunningLab = {
  readonly dataDir: string;
  readonly portOffset: number;
  readonly pid: number;
  /** What `endpoints.json` says now. */
  endpoints(): Promise<Endpoints>;
  /** What it printed so far. */
  output(): string;
  /** `lastcall --lab ... ARGS` */
  cli(...args: string[]): Promise<ProgramRun>;
  /** Another command for this lab, such as `--halt b.postgres`. */
  command(...args: string[]): Promise<ProgramRun>;
  /** Sends a signal, by default Ctrl-C's, and resolves with the exit status when the lab has ended. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
};

const MAIN = join(packageRoot(), 'dist', 'services', 'lab', 'main.js');
const CLI = join(packageRoot(), 'dist', 'services', 'cli', 'main.js');
const READY_DEADLINE_MS = 180_000;

/** Resolves when the lab is ready. `dataDir` and `portOffset` of an earlier lab start that one again; by npm it is `npm start`. */
export async function startLab(
  args: readonly string[] = [],
  earlier?: Pick<RunningLab, 'dataDir' | 'portOffset'>,
  by: 'node' | 'npm' = 'node',
): Promise<RunningLab> {
  const dataDir = earlier?.dataDir ?? (await reachableFolder());
  const portOffset = earlier?.portOffset ?? (await freeOffset());
  const own = ['--data', dataDir, '--port-offset', String(portOffset)];
  const [program, words] = by === 'npm' ? ['npm', ['start', '--']] : [process.execPath, [MAIN]];
  const child = spawn(program, [...words, ...own, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: packageRoot(),
  });
  process.once('exit', () => child.kill('SIGTERM'));
  const output = collect(child);
  const file = join(dataDir, 'endpoints.json');
  const isReady = (): boolean => output().includes('Lastcall is ready');
  await waitFor(() => isReady() || child.exitCode !== null, {
    deadlineMs: READY_DEADLINE_MS,
    what: 'the lab',
  }).catch((cause: Error) => {
    child.kill('SIGTERM');
    throw new Error(output(), { cause });
  });
  if (child.exitCode !== null) throw new Error(`the lab ended with ${child.exitCode}:\n${output()}`);
  const end: RunningLab['end'] = async (signal = 'SIGINT') => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, 'exit');
    }
    return child.exitCode;
  };
  return {
    dataDir,
    portOffset,
    pid: child.pid as number,
    endpoints: async () => JSON.parse(await readFile(file, 'utf8')) as Endpoints,
    output,
    cli: (...words) => runNode(CLI, '--lab', dataDir, ...words),
    command: (...words) => runNode(MAIN, '--data', dataDir, ...words),
    end,
    remove: async () => {
      await end();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL's own user must get through to its data. */
async function reachableFolder(): Promise<string> {
  const folder = await mkdtemp(join(privateTemporaryFolder(), 'lab-'));
  await chmod(folder, 0o711);
  return folder;
}

/** Runs a built program to its end. */
export async function runNode(...args: string[]): Promise<ProgramRun> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = [collect({ stdout: child.stdout }), collect({ stdout: child.stderr })];
  const [status] = await once(child, 'close');
  return { status: status ?? 1, stdout: stdout(), stderr: stderr() };
}

export const runLabCommand = (...args: string[]): Promise<ProgramRun> => runNode(MAIN, ...args);

/** One whose ports are free and, from 6000 on, above those that the kernel gives to outgoing connections. */
export async function freeOffset(): Promise<number> {
  for (;;) {
    const offset = 6000 + 50 * Math.floor(Math.random() * 58);
    const command = parseCommandLine(['--port-offset', String(offset), '--sites', '3', '--ha']);
    if (command.do !== 'run') throw new Error('expected a start');
    const taken = await takenPorts(neededPorts(planLab(command.options, '/'), true), () => {});
    if (taken.length === 0) return offset;
  }
}

function collect({ stdout, stderr }: Partial<Pick<ChildProcess, 'stdout' | 'stderr'>>): () => string {
  let text = '';
  for (const stream of [stdout, stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  return () => text;
}
