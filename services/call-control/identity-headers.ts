import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { Originator } from './originator.ts';
import { escapedUser } from './user-part.ts';

/** Headers by which a stranger could pretend to be someone, or this server to be trusted. */
const ASSERTIONS = ['p-asserted-identity', 'p-preferred-identity', 'remote-party-id'];

/** RFC 3325 5: what an untrusted caller asserts goes, what this server has proved stands instead. */
export function assertIdentity(draft: MessageDraft, { claims, trusted }: Originator, domain: string): void {
  draft.remove('proxy-authorization');
  if (trusted) return;
  for (const name of ASSERTIONS) draft.remove(name);
  if (claims.authenticated !== null)
    draft.set('p-asserted-identity', `<sip:${escapedUser(claims.authenticated.number)}@${domain}>`);
}

/** RFC 3325 7: a phone does not learn the identity that the caller withholds. */
export function hideFromPhone(draft: MessageDraft): void {
  for (const name of ASSERTIONS) draft.remove(name);
}
