import type { SipRequest } from '../../shared/sip/message/message.ts';
import { parseNameAddr } from '../../shared/sip/syntax/name-addr.ts';
import { bounded, dialedUser } from './user-part.ts';

/** R6: who sent the call on to its present target, and whom the caller dialed first. */
export interface ForwardedBy {
  readonly forwardedBy: string | null;
  readonly originalCalled: string | null;
}

const NOT_FORWARDED: ForwardedBy = { forwardedBy: null, originalCalled: null };

/** From Diversion (RFC 5806: the latest on top) or else History-Info (RFC 7044: the first target first). */
export function forwardedBy(request: SipRequest): ForwardedBy {
  return fromDiversion(request) ?? fromHistory(request) ?? NOT_FORWARDED;
}

function fromDiversion(request: SipRequest): ForwardedBy | null {
  const users = request
    .values('diversion')
    .map(userIn)
    .filter((user) => user !== null);
  const [latest] = users;
  const first = users.at(-1);
  return latest === undefined || first === undefined ? null : { forwardedBy: latest, originalCalled: first };
}

/** The last entry is the present target; the one before it sent the call there. */
function fromHistory(request: SipRequest): ForwardedBy | null {
  const entries = request
    .values('history-info')
    .map(historyEntry)
    .filter((entry) => entry !== null);
  const inOrder = entries.toSorted((a, b) => compareIndex(a.index, b.index));
  const targets = inOrder.filter((entry, position) => entry.user !== inOrder[position - 1]?.user);
  const [original] = targets;
  const forwarder = targets.at(-2);
  if (original === undefined || forwarder === undefined) return null;
  return { forwardedBy: forwarder.user, originalCalled: original.user };
}

interface HistoryEntry {
  readonly user: string;
  /** `1.2.1` as numbers. */
  readonly index: readonly number[];
}

function historyEntry(value: string): HistoryEntry | null {
  const entry = parseNameAddr(value);
  const user = userIn(value);
  const index = entry?.parameters.get('index')?.split('.').map(Number);
  return user === null || index === undefined || index.some(Number.isNaN) ? null : { user, index };
}

function compareIndex(a: readonly number[], b: readonly number[]): number {
  for (let depth = 0; depth < Math.max(a.length, b.length); depth++) {
    const difference = (a[depth] ?? 0) - (b[depth] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function userIn(value: string): string | null {
  const user = dialedUser(parseNameAddr(value)?.uri);
  return user === undefined || user === '' ? null : bounded(user);
}
