import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { identifyProcess, processTree, signalQuietly, stillRuns } from './process-identity.ts';
import { killOwnServers, noteStarted } from './started-processes.ts';

/** A database server as a child process, with the ways in which tests and the lab make it end. */
export type ServerProcess = {
  readonly pid: number;
  running(): boolean;
  /** Resolves when `ready` says so; throws when the server ends first or `deadlineMs` passes, with what it said last. */
  untilReady(ready: () => Promise<boolean>, deadlineMs: number): Promise<void>;
  /** Sends `signal` and waits for the end; SIGKILL when it takes longer than a minute. */
  stop(signal: NodeJS.Signals): Promise<void>;
  /** SIGKILL for it and its children; resolves when all are gone, so that a restart finds no shared memory in use. */
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
};

type ServerProcessOptions = { spawn: SpawnOptions; logFile?: string; removeFolder?: string };

const STOP_DEADLINE_MS = 60_000;
const LAST_WORDS_BYTES = 4_000;

/** Starts a server in its own session, so that Ctrl-C at the terminal reaches us first and we stop things in order. */
export function startServerProcess(
  file: string,
  args: string[],
  options: ServerProcessOptions,
): ServerProcess {
  killServersAtExit();
  const log = options.logFile ? openSync(options.logFile, 'a') : null;
  const output = log ?? 'pipe';
  const child = spawn(file, args, { ...options.spawn, detached: true, stdio: ['ignore', output, output] });
  if (log !== null) closeSync(log);
  const lastWords = keepLastWords(child, options.logFile);
  const forget = child.pid ? noteStarted(child.pid, options.removeFolder) : () => {};
  let failure: Error | null = null;
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      failure = error;
      resolve();
    });
    child.once('exit', () => resolve());
  }).then(forget);
  const running = (): boolean =>
    child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const signalTree = (signal: NodeJS.Signals): void => {
    if (running()) for (const pid of processTree(child.pid as number)) signalQuietly(pid, signal);
  };
  const kill = async (): Promise<void> => {
    const tree = running() ? processTree(child.pid as number).map(identifyProcess) : [];
    signalTree('SIGKILL');
    await ended;
    while (tree.some((member) => member && stillRuns(member))) await delay(2);
  };
  return {
    pid: child.pid ?? 0,
    running,
    async untilReady(ready, deadlineMs) {
      const end = performance.now() + deadlineMs;
      while (!(await ready())) {
        const why =
          failure?.message ?? (running() ? null : `ended with ${child.signalCode ?? child.exitCode}`);
        if (why) throw new Error(`${file} ${why}\n${lastWords()}`);
        if (performance.now() > end)
          throw new Error(`${file} was not ready in ${deadlineMs} ms\n${lastWords()}`);
      }
    },
    async stop(signal) {
      if (!running()) return;
      signalTree('SIGCONT');
      child.kill(signal);
      const patience = new AbortController();
      const late = delay(STOP_DEADLINE_MS, 'late' as const, { signal: patience.signal, ref: false });
      if ((await Promise.race([ended, late])) === 'late') await kill();
      else patience.abort();
      await late.catch(() => {});
    },
    kill,
    pause: () => signalTree('SIGSTOP'),
    resume: () => signalTree('SIGCONT'),
  };
}

function keepLastWords(child: ChildProcess, logFile: string | undefined): () => string {
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-LAST_WORDS_BYTES);
    });
  }
  return () => (logFile ? `see ${logFile}` : words);
}

let killsAtExit = false;

function killServersAtExit(): void {
  if (killsAtExit) return;
  killsAtExit = true;
  process.once('exit', killOwnServers);
}
