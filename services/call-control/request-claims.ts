import { type CallerClaims, isAnonymous } from '../../shared/domain/caller.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import { parseNameAddr } from '../../shared/sip/syntax/name-addr.ts';
import { bounded, dialedUser } from './user-part.ts';

/** P-Asserted-Identity (RFC 3325 9.1): its first usable value. Only for requests of a trusted source (R5). */
export function assertedIdentity(request: SipRequest): CallerClaims['asserted'] {
  for (const value of request.values('p-asserted-identity')) {
    const address = parseNameAddr(value);
    const number = dialedUser(address?.uri);
    if (address !== undefined && number !== undefined)
      return { number: bounded(number), uri: bounded(address.uriText) };
  }
  return null;
}

/** From as the identity that a trunk sends no other of. Only for sources whose From the configuration believes. */
export function fromIdentity({ from }: SipRequest): CallerClaims['asserted'] {
  const number = dialedUser(from?.uri);
  if (from === undefined || number === undefined || isAnonymous(from.uriText)) return null;
  return { number: bounded(number), uri: bounded(from.uriText) };
}

/** RFC 3323 4.2: the values of Privacy, lower-case. */
export function privacyOf(request: SipRequest): readonly string[] {
  return request
    .headerLines('privacy')
    .flatMap((value) => value.split(/[;,]/))
    .map((value) => value.trim().toLowerCase())
    .filter((value) => value !== '');
}
