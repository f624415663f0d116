import type { Micros } from './micros.ts';

/** The three column groups of a terminal's row; each is written, compared and forgotten as a whole. */
export type GroupName = 'dialed' | 'received' | 'terminated';
export const GROUP_NAMES: readonly GroupName[] = ['dialed', 'received', 'terminated'];

/** One group that holds information: it has a date. `number` null says "known to be withheld or erased then" (C5). */
export interface CallGroup {
  readonly at: Micros;
  /** The other party's digits, as this subscriber dials them (R4). */
  readonly number: string | null;
  readonly numberId: number | null;
  /** Call-ID of the call (received, terminated). */
  readonly callId: string | null;
  /** The subscriber's own number that was called. */
  readonly userNumber: string | null;
  readonly userNumberId: number | null;
  /** Who forwarded the call here (R6). */
  readonly forwardedBy: string | null;
  /** The number that the caller dialed first (R6). */
  readonly originalCalled: string | null;
  /** The caller's SIP URI. */
  readonly sipUri: string | null;
  /** What the call asked for (dialed): Privacy values of RFC 3323, `id;user` (F16). */
  readonly privacy: string | null;
}

/** A terminal's row of one `lastcalls_<site>` table. A group without a date is null: it holds no information. */
export interface LastCalls {
  readonly terminalId: number;
  readonly userId: number | null;
  readonly dialed: CallGroup | null;
  readonly received: CallGroup | null;
  readonly terminated: CallGroup | null;
  /** The last call whose caller was withheld or unknown (R7). */
  readonly unknownPaiAt: Micros | null;
  readonly callTraceAt: Micros | null;
  /** Keys of the reports that made it, space-separated: one that is repeated at another site is known there by its key. */
  readonly reports: string | null;
}

export function emptyLastCalls(terminalId: number, userId: number | null = null): LastCalls {
  return {
    terminalId,
    userId,
    dialed: null,
    received: null,
    terminated: null,
    unknownPaiAt: null,
    callTraceAt: null,
    reports: null,
  };
}

export function callGroup(at: Micros, fields: Partial<Omit<CallGroup, 'at'>> = {}): CallGroup {
  return {
    at,
    number: null,
    numberId: null,
    callId: null,
    userNumber: null,
    userNumberId: null,
    forwardedBy: null,
    originalCalled: null,
    sipUri: null,
    privacy: null,
    ...fields,
  };
}

/**
 * Both rows of one terminal in one: per group the newer date (R13), at equal dates the greater content, so that the
 * result does not depend on the order. Idempotent, commutative and associative.
 */
export function mergeLastCalls(a: LastCalls, b: LastCalls): LastCalls {
  return {
    terminalId: a.terminalId,
    userId: greaterUserId(a, b),
    dialed: newerGroup(a.dialed, b.dialed),
    received: newerGroup(a.received, b.received),
    terminated: newerGroup(a.terminated, b.terminated),
    unknownPaiAt: later(a.unknownPaiAt, b.unknownPaiAt),
    callTraceAt: later(a.callTraceAt, b.callTraceAt),
    reports: joinReports(a.reports, b.reports),
  };
}

/** Characters of one key. */
export const REPORT_KEY_LENGTH = 8;
/** Of more than this any may go. */
export const REPORTS_KEPT = 16;

function joinReports(a: string | null, b: string | null): string | null {
  if (!a || !b) return a || b || null;
  const keys = new Set(`${a} ${b}`.split(' '));
  return [...keys].sort().slice(0, REPORTS_KEPT).join(' ');
}

export function newerGroup(a: CallGroup | null, b: CallGroup | null): CallGroup | null {
  if (a === null || b === null) return a ?? b;
  if (a.at !== b.at) return a.at > b.at ? a : b;
  return compareContent(a, b) >= 0 ? a : b;
}

/** An order of groups of the same date, so that every reader keeps the same one. */
export function compareContent(a: CallGroup, b: CallGroup): number {
  const [left, right] = [content(a), content(b)];
  return left === right ? 0 : left > right ? 1 : -1;
}

export function later(a: Micros | null, b: Micros | null): Micros | null {
  if (a === null || b === null) return a ?? b;
  return a > b ? a : b;
}

function greaterUserId(a: LastCalls, b: LastCalls): number | null {
  if (a.userId === null || b.userId === null) return a.userId ?? b.userId;
  return Math.max(a.userId, b.userId);
}

function content(group: CallGroup): string {
  return JSON.stringify([
    group.number,
    group.numberId,
    group.callId,
    group.userNumber,
    group.userNumberId,
    group.forwardedBy,
    group.originalCalled,
    group.sipUri,
    group.privacy,
  ]);
}
