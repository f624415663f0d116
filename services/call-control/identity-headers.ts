import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipMessage } from '../../shared/sip/message/message.ts';
import { parseDigestFields } from '../../shared/sip/syntax/digest-fields.ts';
import type { Originator } from './originator.ts';
import { escapedUser } from './user-part.ts';

/** Headers that say who somebody is (RFC 3325, RFC 5876). */
const ASSERTIONS = ['p-asserted-identity', 'p-preferred-identity', 'remote-party-id'];

/** Headers by which a stranger could pretend to be someone, to come from somewhere, or to belong to the network. */
const CLAIMS = [
  ...ASSERTIONS,
  'p-served-user',
  'diversion',
  'history-info',
  'identity',
  'p-charging-vector',
  'p-charging-function-addresses',
  'p-access-network-info',
];

/** What the processes and sites of this system tell each other. */
const OWN = 'x-lastcall-';
const CREDENTIALS = ['authorization', 'proxy-authorization'];

/** RFC 3325 5: what an untrusted sender claims goes, and whatever looks like a word of this system's own. */
export function removeClaims(draft: MessageDraft, message: SipMessage): void {
  for (const name of CLAIMS) draft.remove(name);
  removeOwn(draft, message);
}

export function removeOwn(draft: MessageDraft, message: SipMessage): void {
  for (const name of message.layout.names) if (name.startsWith(OWN)) draft.remove(name);
}

/** RFC 3261 22.3: credentials for this realm have done their work here; those for others travel on. */
export function removeCredentials(draft: MessageDraft, message: SipMessage, realm: string): void {
  for (const name of CREDENTIALS) {
    const lines = message.headerLines(name);
    if (lines.length === 0) continue;
    const foreign = lines.filter((line) => parseDigestFields(line)?.get('realm') !== realm);
    if (foreign.length === lines.length) continue;
    draft.remove(name);
    for (const line of foreign) draft.append(name, line);
  }
}

/** What this server has proved about the caller stands instead of what an untrusted one claims. */
export function assertIdentity(
  draft: MessageDraft,
  message: SipMessage,
  { claims, trusted }: Originator,
  realm: string,
): void {
  removeCredentials(draft, message, realm);
  if (trusted) removeOwn(draft, message);
  else removeClaims(draft, message);
  if (!trusted && claims.authenticated !== null)
    draft.set('p-asserted-identity', `<sip:${escapedUser(claims.authenticated.number)}@${realm}>`);
}

/** RFC 3325 7: who is not trusted does not learn the identity that the caller withholds. */
export function hideIdentity(draft: MessageDraft): void {
  for (const name of ASSERTIONS) draft.remove(name);
}

/**
 * A response on its way back: what a phone claims of itself goes, and words of this system go no further than the next of its
 * processes or sites.
 */
export function editedResponse(
  draft: MessageDraft,
  response: SipMessage,
  target: { readonly kind: string },
): void {
  removeOwn(draft, response);
  if (target.kind === 'binding') removeClaims(draft, response);
}
