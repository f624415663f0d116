import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { identifyProcess, processTree, signalQuietly, stillRuns } from './process-identity.ts';
import { killOwnServers, noteStarted } from './started-processes.ts';

/** A server that can be started: a database, Redis, or one of our services. */
export type Program = {
  file: string;
  args: string[];
  /** Done before each start by a supervisor: whatever the program's data needs. */
  prepare?: () => Promise<void>;
  /** Whether its supervisor starts it again when it ended by itself; default yes. */
  restarts?: boolean;
  spawn: SpawnOptions;
  /** Asks it to end in order. */
  stopSignal: NodeJS.Signals;
  /** Whether it serves now. Throws when it never will. Paces itself while the answer is no. */
  ready: () => Promise<boolean>;
  /** What keeps it from being ready, in its own words. */
  whyNotReady?: () => Promise<string>;
  /** Gets its output; without one the last lines are kept for errors. */
  logFile?: string;
  /** A temporary folder that goes with it when it has to be swept up. */
  removeFolder?: string;
};

/** A started server, with the ways in which tests and the lab make it end. */
export type ServerProcess = {
  readonly pid: number;
  running(): boolean;
  /** Resolves at its end, whatever the cause, with the words for it: `exit status 1`, `SIGKILL`. */
  readonly ended: Promise<string>;
  /** Resolves when it is ready; throws when it ends first or `deadlineMs` passes, with what it said last. */
  untilReady(deadlineMs: number): Promise<void>;
  /** Sends `signal` (default: the program's own) and waits for the end; SIGKILL for it and its children after a minute. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** SIGKILL for it and its children; resolves when all are gone, so that a restart finds no shared memory in use. */
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
};

const STOP_DEADLINE_MS = 60_000;
const LAST_WORDS_BYTES = 4_000;

/** Starts a server in its own session, so that Ctrl-C at the terminal reaches us first and we stop things in order. */
export function startServerProcess(program: Program): ServerProcess {
  killServersAtExit();
  const child = spawnLogged(program);
  const lastWords = program.logFile ? () => `see ${program.logFile}` : keepLastWords(child);
  const forget = child.pid ? noteStarted(child.pid, program.removeFolder) : () => {};
  const ended = untilEnded(child).finally(forget);
  let end: string | null = null;
  void ended.then((words) => {
    end = words;
  });
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
    ended,
    async untilReady(deadlineMs) {
      const deadline = performance.now() + deadlineMs;
      while (!(await program.ready())) {
        if (end !== null) throw new Error(`${program.file} ended with ${end}\n${lastWords()}`);
        if (performance.now() > deadline)
          throw new Error(`${program.file} was not ready in ${deadlineMs} ms\n${lastWords()}`);
      }
    },
    async stop(signal = program.stopSignal) {
      if (!running()) return;
      signalTree('SIGCONT');
      child.kill(signal);
      if (!(await endsWithin(ended, STOP_DEADLINE_MS))) await kill();
    },
    kill,
    pause: () => signalTree('SIGSTOP'),
    resume: () => signalTree('SIGCONT'),
  };
}

function spawnLogged({ file, args, spawn: options, logFile }: Program): ChildProcess {
  const log = logFile ? openSync(logFile, 'a') : null;
  const output = log ?? 'pipe';
  const child = spawn(file, args, { ...options, detached: true, stdio: ['ignore', output, output] });
  if (log !== null) closeSync(log);
  return child;
}

function untilEnded(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (status, signal) => resolve(signal ?? `exit status ${status}`));
  });
}

async function endsWithin(ended: Promise<string>, limitMs: number): Promise<boolean> {
  const patience = new AbortController();
  const late = delay(limitMs, null, { signal: patience.signal }).catch(() => null);
  const first = await Promise.race([ended, late]);
  patience.abort();
  return first !== null;
}

function keepLastWords(child: ChildProcess): () => string {
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-LAST_WORDS_BYTES);
    });
  }
  return () => words;
}

let killsAtExit = false;

function killServersAtExit(): void {
  if (killsAtExit) return;
  killsAtExit = true;
  process.once('exit', killOwnServers);
}
