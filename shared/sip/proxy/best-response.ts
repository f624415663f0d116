import type { SipResponse } from '../message/message.ts';

/** A branch's final answer; without a response it was made here (408, 430, 503). */
export interface BranchResult<T> {
  readonly status: number;
  readonly response: SipResponse | undefined;
  readonly target: T;
  /** A server answered for a callee that it does not have. */
  readonly isAbsence?: boolean;
}

/** Preferred among 4xx: they tell the caller how to make the request succeed (RFC 3261 16.7 item 6). */
const PREFERRED = new Set([401, 407, 415, 420, 484]);

/**
 * RFC 3261 16.7 item 6: a 6xx first, else the lowest class; the earliest among equals. A 503 speaks of one hop only, so it is
 * chosen when nothing else came; and before it only what a server says for want of the callee.
 */
export function bestResponse<T>(results: readonly BranchResult<T>[]): BranchResult<T> | undefined {
  let best: BranchResult<T> | undefined;
  for (const result of results) if (best === undefined || rank(result) < rank(best)) best = result;
  return best;
}

function rank({ isAbsence, status }: BranchResult<unknown>): number {
  const statusClass = Math.floor(status / 100);
  if (statusClass === 6) return 0;
  if (status === 503) return 59;
  if (isAbsence) return 58;
  // A target that only proves unreachable says less than one that answered.
  const weight = PREFERRED.has(status) ? 0 : status === 408 || status === 430 || status === 440 ? 2 : 1;
  return statusClass * 10 + weight;
}

/** RFC 3261 16.7 item 7: a 401 or 407 carries the challenges of every branch. Returns those of the others. */
export function otherChallenges<T>(
  best: BranchResult<T>,
  results: readonly BranchResult<T>[],
): readonly (readonly [name: string, value: string])[] {
  if (best.status !== 401 && best.status !== 407) return [];
  const challenges: (readonly [string, string])[] = [];
  for (const result of results) {
    if (result === best || (result.status !== 401 && result.status !== 407)) continue;
    for (const name of ['www-authenticate', 'proxy-authenticate']) {
      for (const value of result.response?.headerLines(name) ?? []) challenges.push([name, value]);
    }
  }
  return challenges;
}
