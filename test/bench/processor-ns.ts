import { readdirSync, readFileSync } from 'node:fs';

const TICK_NS = 10_000_000;

/** Processor time of a process, of its living descendants and of those it has reaped, nanoseconds. 0 when it is gone. */
export function treeNanoseconds(pid: number): number {
  return (
    threadsOf(pid).reduce((sum, thread) => sum + threadNanoseconds(pid, thread), 0) +
    reapedNanoseconds(pid) +
    childrenOf(pid).reduce((sum, child) => sum + treeNanoseconds(child), 0)
  );
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function threadNanoseconds(pid: number, thread: string): number {
  return Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0] ?? 0);
}

/** cutime and cstime: what ended children used, in clock ticks. */
function reapedNanoseconds(pid: number): number {
  const fields = read(`/proc/${pid}/stat`).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) * TICK_NS;
}

function childrenOf(pid: number): number[] {
  return threadsOf(pid).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1').trim();
  } catch {
    return '';
  }
}
