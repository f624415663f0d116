import { GROUP_NAMES, type LastCalls } from './last-calls.ts';
import type { Micros } from './micros.ts';

/**
 * What is left of a terminal's journalled state once `drained` is in the table: the groups that are newer than it. Null
 * when nothing is.
 */
export function withoutDrained(state: LastCalls, drained: LastCalls): LastCalls | null {
  const left: { -readonly [K in keyof LastCalls]: LastCalls[K] } = { ...state };
  for (const group of GROUP_NAMES)
    left[group] = notNewer(state[group]?.at, drained[group]?.at) ? null : state[group];
  left.unknownPaiAt = notNewer(state.unknownPaiAt, drained.unknownPaiAt) ? null : state.unknownPaiAt;
  left.callTraceAt = notNewer(state.callTraceAt, drained.callTraceAt) ? null : state.callTraceAt;
  const empty = left.dialed === null && left.received === null && left.terminated === null;
  return empty && left.unknownPaiAt === null && left.callTraceAt === null ? null : left;
}

function notNewer(standing: Micros | null | undefined, drained: Micros | null | undefined): boolean {
  return typeof standing !== 'number' || (typeof drained === 'number' && standing <= drained);
}
