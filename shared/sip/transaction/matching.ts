import type { SipRequest } from '../message/message.ts';
import { flattened } from '../syntax/lexical.ts';
import { MAGIC_COOKIE } from '../syntax/via.ts';

/**
 * The key of the server transaction a request belongs to (RFC 3261 17.2.3): branch, sent-by and method, ACK counting as
 * INVITE. Without the magic cookie, or with nothing after it, what RFC 2543 elements keep the same: Request-URI, From tag,
 * Call-ID, CSeq and Via.
 */
export function serverKey(request: SipRequest, method: string = request.method): string {
  const via = request.topVia;
  const matched = method === 'ACK' ? 'INVITE' : method;
  if (via?.branch?.startsWith(MAGIC_COOKIE) && via.branch.length > MAGIC_COOKIE.length) {
    return flattened(`${via.branch}|${via.host}|${via.port ?? 5060}|${matched}`);
  }
  const dialog = `${request.from?.tag ?? ''}|${request.callId ?? ''}|${request.cseq?.sequence ?? ''}`;
  return flattened(`${request.requestUri}|${dialog}|${request.values('via')[0] ?? ''}|${matched}`);
}

/** The INVITE transaction that a CANCEL names (RFC 3261 9.2). */
export const cancelledKey = (cancel: SipRequest): string => serverKey(cancel, 'INVITE');

/** Responses find their client transaction by our own branch and the CSeq method (RFC 3261 17.1.3): CANCEL shares its INVITE's branch. */
export const clientKey = (branch: string, method: string): string =>
  method === 'CANCEL' ? `${branch}|C` : branch;

/** RFC 3261 8.2.2.2: what a request and its copy over another path have in common. */
export function mergeKey(request: SipRequest): string {
  return flattened(`${request.from?.tag ?? ''}|${request.callId ?? ''}|${request.header('cseq') ?? ''}`);
}
