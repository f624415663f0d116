import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  identifyProcess,
  type ProcessIdentity,
  pidExists,
  processTree,
  signalQuietly,
  stillRuns,
} from './process-identity.ts';
import { privateTemporaryFolder } from './temporary-folder.ts';

/**
 * Every server that code here starts is written down in a file until it ends, because a process killed with
 * SIGKILL cannot stop its children: the next start sweeps what a dead owner left behind.
 */
type Entry = { server: ProcessIdentity; owner: ProcessIdentity; removeFolder?: string };

/** A killed process frees its ports and memory a moment later; one in the kernel's hands may take longer. */
const GONE_DEADLINE_MS = 10_000;

const folder = (): string => join(privateTemporaryFolder(), 'started');

/** Writes a started server down. `removeFolder` (below the temporary folder) goes with it when it is swept. Returns how to strike it out. */
export function noteStarted(pid: number, removeFolder?: string): () => void {
  const server = identifyProcess(pid);
  const owner = identifyProcess(process.pid);
  if (!server || !owner) return () => {};
  mkdirSync(folder(), { recursive: true });
  const file = join(folder(), `${pid}.json`);
  writeFileSync(
    file,
    JSON.stringify({ server, owner, ...(removeFolder ? { removeFolder } : {}) } satisfies Entry),
  );
  return () => rmSync(file, { force: true });
}

/** Kills servers whose owner no longer runs. Safe to run from several processes at once. */
export function sweepAbandonedServers(): void {
  sweep((entry) => !stillRuns(entry.owner), pidExists);
}

/** Kills the servers of this process, synchronously: for its `exit` handler. */
export function killOwnServers(): void {
  // Our children stay zombies until we have ended.
  const running = (pid: number): boolean => identifyProcess(pid) !== null;
  sweep((entry) => entry.owner.pid === process.pid && stillRuns(entry.owner), running);
}

/** Kills all that are chosen, then waits for all of them, until none `remains`. */
function sweep(chosen: (entry: Entry) => boolean, remains: (pid: number) => boolean): void {
  const swept = listEntries().flatMap((file) => {
    const entry = readEntry(file);
    return entry && chosen(entry) ? [{ file, entry }] : [];
  });
  const killed = swept.flatMap(({ entry }) => (stillRuns(entry.server) ? kill(entry.server.pid) : []));
  const deadline = performance.now() + GONE_DEADLINE_MS;
  while (killed.some(remains) && performance.now() < deadline) pauseThread(2);
  for (const { file, entry } of swept) {
    if (entry.removeFolder?.startsWith(tmpdir()))
      rmSync(entry.removeFolder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    rmSync(file, { force: true });
  }
}

function kill(pid: number): number[] {
  const tree = processTree(pid);
  for (const member of tree) signalQuietly(member, 'SIGKILL');
  return tree;
}

function listEntries(): string[] {
  try {
    return readdirSync(folder()).map((name) => join(folder(), name));
  } catch {
    return [];
  }
}

/** `null` for a file that vanished, or that is being written now. */
function readEntry(file: string): Entry | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Entry;
  } catch {
    return null;
  }
}

/** Stops this thread for a moment: an `exit` handler cannot wait in any other way. */
function pauseThread(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
