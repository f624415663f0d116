import type { SipRequest } from '../message/message.ts';
import { parseVia } from '../syntax/via.ts';

/**
 * What decides where a request goes, as a short hash (RFC 3261 16.6 item 8, RFC 5393 4.2.1): a request that comes back
 * with the same value loops, with another one it spirals. `routes` are the Route values that lead on from here.
 */
export function loopHash(request: SipRequest, routes: readonly string[]): string {
  const dialog = `${request.from?.tag}|${request.to?.tag}|${request.callId}|${request.cseq?.sequence}`;
  const text = `${request.requestUri}|${dialog}|${routes.join()}|${request.header('proxy-authorization')}`;
  return fnv1a(text);
}

/** The branch of a forwarded copy: a new one, then the loop hash. */
export const forwardBranch = (branch: string, hash: string): string => `${branch}.${hash}`;

/** True when one of the request's Vias is this server's with that hash (RFC 3261 16.3 item 4). */
export function hasLooped(
  request: SipRequest,
  hash: () => string,
  isLocal: (host: string, port: number | undefined) => boolean,
): boolean {
  for (const [index, value] of request.values('via').entries()) {
    const via = index === 0 ? request.topVia : parseVia(value);
    if (via?.branch !== undefined && isLocal(via.host, via.port) && via.branch.endsWith(`.${hash()}`))
      return true;
  }
  return false;
}

/** FNV-1a twice, from two seeds. */
function fnv1a(text: string): string {
  let high = 0x811c9dc5;
  let low = 0x01234567;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 0x01000193);
    low = Math.imul(low ^ code, 0x01000193);
  }
  return (high >>> 0).toString(36) + (low >>> 0).toString(36);
}
