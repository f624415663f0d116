import { parseUri, type SipUri, userOf } from '../syntax/uri.ts';
import { uriKey } from '../syntax/uri-key.ts';

/**
 * True when credentials were made for this request (RFC 7616 3.4.6): their `uri` and the Request-URI name the same user at
 * the same host and port. Softphones write the host in another case, the default port, or no parameters: that passes. So does
 * this server itself without a user, which SIPp and some phones write for every request (`isOwn`).
 */
export function isSameTarget(
  credentialsUri: string,
  requestUri: string,
  isOwn: (uri: SipUri) => boolean,
): boolean {
  if (credentialsUri === requestUri) return true;
  const [theirs, ours] = [parseUri(credentialsUri), parseUri(requestUri)];
  if (theirs?.kind === 'sip' && theirs.user === undefined && isOwn(theirs)) return true;
  if (theirs === undefined || ours === undefined) return false;
  if (theirs.kind !== 'sip' || ours.kind !== 'sip') return uriKey(theirs) === uriKey(ours);
  return (
    theirs.scheme === ours.scheme &&
    theirs.host === ours.host &&
    userOf(theirs) === userOf(ours) &&
    portOf(theirs) === portOf(ours)
  );
}

/** 5060 and 5061 are what a URI without a port may mean (RFC 3261 19.1.2), by a transport that one of the two may not tell. */
const portOf = ({ port }: SipUri): number | undefined => (port === 5060 || port === 5061 ? undefined : port);
