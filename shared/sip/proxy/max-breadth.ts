import type { SipRequest } from '../message/message.ts';
import { parseCount } from '../syntax/lexical.ts';

/** RFC 5393 5.3.3: what a request without the header may do, and the most that any may: a sender's larger wish is not granted. */
const MOST = 60;

/** RFC 5393 5.3: into how many branches at once a request may still be forked, here and further on together. */
export function maxBreadthOf(request: SipRequest): number {
  return Math.min(MOST, parseCount(request.header('max-breadth') ?? '', Number.MAX_SAFE_INTEGER) ?? MOST);
}

/**
 * How a breadth is given to new branches beside `pending` ones: how many may start, and what each may fork into further on.
 * A share stays with this server, for a later stage of the search.
 */
export function splitBreadth(
  breadth: number,
  pending: readonly number[],
  wanted: number,
): { readonly branches: number; readonly each: number } {
  const spare = Math.max(0, breadth - pending.reduce((sum, share) => sum + share, 0));
  const branches = Math.min(wanted, spare);
  return { branches, each: Math.max(1, Math.floor(spare / (branches + 1))) };
}
