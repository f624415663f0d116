import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  identifyProcess,
  type ProcessIdentity,
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
  sweep((entry) => !stillRuns(entry.owner));
}

/** Kills the servers of this process, synchronously: for its `exit` handler. */
export function killOwnServers(): void {
  sweep((entry) => entry.owner.pid === process.pid && stillRuns(entry.owner));
}

function sweep(chosen: (entry: Entry) => boolean): void {
  for (const file of listEntries()) {
    const entry = readEntry(file);
    if (entry && !chosen(entry)) continue;
    if (entry) end(entry);
    rmSync(file, { force: true });
  }
}

function end(entry: Entry): void {
  if (stillRuns(entry.server)) {
    for (const pid of processTree(entry.server.pid)) signalQuietly(pid, 'SIGKILL');
  }
  if (entry.removeFolder?.startsWith(tmpdir())) {
    rmSync(entry.removeFolder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

function listEntries(): string[] {
  try {
    return readdirSync(folder()).map((name) => join(folder(), name));
  } catch {
    return [];
  }
}

/** `null` for a file that vanished or was cut short by a kill while it was written. */
function readEntry(file: string): Entry | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Entry;
  } catch {
    return null;
  }
}
