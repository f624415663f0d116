import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Which process a number meant when it was written down: process ids are reused, a start time is not.
 * `startedAt` is opaque: clock ticks since boot on Linux, `ps`'s text elsewhere. Compare it, never read it.
 */
export type ProcessIdentity = { pid: number; startedAt: string };

/** `null` when no such process runs; a zombie no longer runs. */
export function identifyProcess(pid: number): ProcessIdentity | null {
  const startedAt = process.platform === 'linux' ? linuxStart(pid) : portableStart(pid);
  return startedAt ? { pid, startedAt } : null;
}

/** True while the very process that was identified still runs. */
export function stillRuns(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt;
}

/** True while the number is taken, if only by a zombie that its parent has not collected: PostgreSQL's lock file asks the same. */
export function pidExists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The direct children of `pid`, whatever session or process group they moved to. */
export function childPids(pid: number): number[] {
  return process.platform === 'linux' ? linuxChildren(pid) : portableChildren(pid);
}

/** `pid` and everything below it, parents first. */
export function processTree(pid: number): number[] {
  return [pid, ...childPids(pid).flatMap(processTree)];
}

/** Sends a signal; a process that ended meanwhile, or is not ours to signal, is no error. */
export function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it ended first, which is what every caller wants.
  }
}

/** The fields of /proc/PID/stat from the state on: the name before them may hold spaces and parentheses. */
function linuxStat(pid: number | string): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

function linuxStart(pid: number): string | null {
  const stat = linuxStat(pid);
  return stat && (stat[0] !== 'Z' || hasThreads(pid)) ? (stat[19] ?? null) : null;
}

/** The first thread of a killed program turns zombie while the others still hold its files and ports. */
function hasThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

function linuxChildren(pid: number): number[] {
  const parent = String(pid);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && linuxStat(name)?.[1] === parent)
    .map(Number);
}

function portableStart(pid: number): string | null {
  try {
    const [state, ...start] = ps(['-o', 'state=,lstart=', '-p', String(pid)])
      .trim()
      .split(/\s+/);
    return !state || state.startsWith('Z') ? null : start.join(' ');
  } catch {
    return null;
  }
}

function portableChildren(pid: number): number[] {
  return ps(['-A', '-o', 'pid=,ppid='])
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child]) => child as number);
}

function ps(args: string[]): string {
  return execFileSync('ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}
