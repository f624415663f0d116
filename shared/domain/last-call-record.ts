import { type Caller, hidingPrivacy } from './caller.ts';
import { type CallGroup, callGroup, emptyLastCalls, type LastCalls } from './last-calls.ts';
import { type Micros, micros } from './micros.ts';
import { dialableNumber, normaliseNumber } from './number.ts';

/** A provisioned terminal as far as recording needs it. */
export interface Party {
  readonly terminalId: number;
  readonly userId: number | null;
  readonly number: string;
  readonly numberId: number | null;
}

/** Everything that decides what one call leaves behind (R1 to R11). */
export interface CallFacts {
  readonly callId: string;
  /** The calling terminal when it is one of ours. */
  readonly from: Party | null;
  readonly caller: Caller;
  /** The caller's number as the callee dials it (R4); null when withheld. */
  readonly callerDialable: string | null;
  /** The called terminal when this site delivers to it (R15). */
  readonly to: Party | null;
  /** Digits as dialed; after a feature code the resolved number (R1, R4). */
  readonly dialed: string;
  readonly dialedNumberId: number | null;
  readonly emergency: boolean;
  readonly forwardedBy: string | null;
  readonly originalCalled: string | null;
  /** Privacy values of RFC 3323 that the caller asked for, lower-case; a redial asks for them again (F16). */
  readonly privacy: readonly string[];
}

/** How this server's own transaction ended (R10). `refused`: by policy before alerting (R11). */
export type Outcome = 'answered' | 'missed' | 'refused';

/**
 * Refused before anybody's phone alerted (R11): the request, its sender or its address is not acceptable. Beside 403, 404
 * and 484 that is payment, authentication, method, extensions, loops, STIR (RFC 8224), anonymity (RFC 5079) and
 * a gateway's robocall filter (608, RFC 8688).
 */
const REFUSED: ReadonlySet<number> = new Set([
  400, 401, 402, 403, 404, 405, 407, 410, 414, 416, 420, 421, 428, 433, 436, 437, 438, 482, 483, 484, 485,
  604, 608,
]);

/**
 * R10, R11: the outcome by the final status that this server passed on. Offline (480), busy (486), declined (603), no
 * answer (408) and cancelled (487) are missed; a refusal by policy never reached the subscriber.
 */
export function outcomeOf(status: number): Outcome {
  if (status >= 200 && status < 300) return 'answered';
  return REFUSED.has(status) ? 'refused' : 'missed';
}

/** R3, R1, R2, R8, F21: the caller's row for the first INVITE of a call, or null when nothing is to be recorded. */
export function dialedRecord(call: CallFacts, at: Micros): LastCalls | null {
  if (call.from === null || call.emergency || isOwnNumber(call)) return null;
  const group = callGroup(at, {
    number: dialableOf(call.dialed, call.to),
    numberId: call.dialedNumberId,
    privacy: hidingPrivacy(call.privacy),
  });
  return { ...emptyLastCalls(call.from.terminalId, call.from.userId), dialed: group };
}

/** R7, R10, R11, R15, F21: the callee's row once the call has ended or was answered, or null. */
export function calleeRecord(call: CallFacts, outcome: Outcome, at: Micros): LastCalls | null {
  if (call.to === null || outcome === 'refused' || call.emergency || isOwnNumber(call)) return null;
  const number = call.callerDialable === null ? null : dialableOf(call.callerDialable, call.from);
  const withheld = number === null;
  const group: CallGroup = callGroup(at, {
    number,
    numberId: withheld ? null : (call.from?.numberId ?? null),
    callId: call.callId,
    userNumber: call.to.number,
    userNumberId: call.to.numberId,
    forwardedBy: call.forwardedBy === null ? null : dialableNumber(call.forwardedBy),
    originalCalled: call.originalCalled === null ? null : dialableNumber(call.originalCalled),
    sipUri: withheld ? null : call.caller.uri,
  });
  const row = emptyLastCalls(call.to.terminalId, call.to.userId);
  const unknownPaiAt = withheld ? at : null;
  return outcome === 'answered'
    ? { ...row, terminated: group, unknownPaiAt }
    : { ...row, received: group, unknownPaiAt };
}

/** F19: received and terminated marked erased: a date without a number, which wins at every site by its date. */
export function erasedRecord(terminal: Party, at: Micros): LastCalls {
  return {
    ...emptyLastCalls(terminal.terminalId, terminal.userId),
    received: callGroup(at),
    terminated: callGroup(at),
  };
}

/** R13: the later of the clock and one microsecond after the freshest date of that terminal known here. */
export function recordDate(clock: Micros, freshestKnown: Micros | null): Micros {
  return freshestKnown !== null && freshestKnown >= clock ? micros(freshestKnown + 1) : clock;
}

/** R14: how far a date runs ahead of this clock beyond the allowed skew, in microseconds; 0 when it does not. */
export function skewBeyond(at: Micros, clock: Micros, allowedSkewMs: number): number {
  return Math.max(0, at - clock - allowedSkewMs * 1000);
}

/** F21: the number as given; a terminal of ours that was named otherwise has its own; null when there is none. */
function dialableOf(given: string, party: Party | null): string | null {
  return dialableNumber(given) ?? (party === null ? null : dialableNumber(party.number));
}

/** R8: caller equals callee, by terminal where both are ours, else by number. */
function isOwnNumber({ from, to, dialed, callerDialable }: CallFacts): boolean {
  if (from !== null && to !== null) return from.terminalId === to.terminalId;
  if (from !== null) return normaliseNumber(from.number) === normaliseNumber(dialed);
  return (
    to !== null && callerDialable !== null && normaliseNumber(callerDialable) === normaliseNumber(to.number)
  );
}
