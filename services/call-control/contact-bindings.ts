import type { Binding } from '../../shared/domain/binding.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import { flattened, parseCount } from '../../shared/sip/syntax/lexical.ts';
import { type NameAddr, parseContact, parseNameAddr } from '../../shared/sip/syntax/name-addr.ts';
import type { SipUri } from '../../shared/sip/syntax/uri.ts';
import { uriKey } from '../../shared/sip/syntax/uri-key.ts';
import type { Flow } from '../../shared/sip/transport/flow.ts';
import type { ReservedPlace } from './reserved-places.ts';

export interface ExpiryBounds {
  readonly minSeconds: number;
  readonly defaultSeconds: number;
  readonly maxSeconds: number;
}

/** What a REGISTER asks for (RFC 3261 10.3), or what is wrong with it. */
export type Registration =
  | { readonly kind: 'fetch' }
  | { readonly kind: 'remove-all' }
  | { readonly kind: 'change'; readonly bindings: readonly Binding[] }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'too-brief' };

export interface RegistrationContext {
  readonly source: Flow;
  /** A proxy of the trusted networks sent it: its Path is believed, and its own address may stand for the phone's. */
  readonly trusted: boolean;
  readonly reserved: (uri: SipUri) => ReservedPlace | null;
  /** SIP URI of this process, kept beside a flow that only it can use. */
  readonly owner: string;
  readonly nowMs: number;
  readonly bounds: ExpiryBounds;
}

const LONGEST_EXPIRY_SECONDS = 2 ** 32 - 1;
const LONGEST_CONTACT = 1_024;
const PLACES: Readonly<Record<ReservedPlace, string>> = {
  'this-server': 'This Server',
  peer: 'A Peer Site',
  gateway: 'The Gateway',
};

export function readRegistration(request: SipRequest, context: RegistrationContext): Registration {
  const contacts = request.values('contact').map(parseContact);
  if (contacts.length === 0) return { kind: 'fetch' };
  if (contacts.includes('*')) return removeAll(request, contacts.length);
  const refusal = pathRefusal(request, context);
  if (refusal !== null) return refusal;
  const bindings: Binding[] = [];
  for (const contact of contacts) {
    if (contact === undefined || contact === '*' || contact.uri.kind !== 'sip')
      return { kind: 'invalid', reason: 'Bad Contact' };
    if (contact.uriText.length > LONGEST_CONTACT) return { kind: 'invalid', reason: 'Contact Too Long' };
    const seconds = expirySeconds(request, contact, context.bounds);
    const place = reservedFor(contact.uri, context);
    // What an earlier configuration let in may still be taken back.
    if (place !== null && seconds !== 0) return { kind: 'refused', reason: `Contact Names ${PLACES[place]}` };
    if (seconds !== 0 && seconds < context.bounds.minSeconds) return { kind: 'too-brief' };
    bindings.push(bindingOf(request, contact, contact.uri, seconds, context));
  }
  return { kind: 'change', bindings };
}

/** G1: a phone adds no hop to the calls that come to it (RFC 3327 4), and no proxy leads them back into the system. */
function pathRefusal(request: SipRequest, context: RegistrationContext): Registration | null {
  const path = request.values('path');
  if (path.length > 0 && !context.trusted)
    return { kind: 'refused', reason: 'Path Not From A Trusted Proxy' };
  for (const hop of path.map(parseNameAddr)) {
    if (hop?.uri.kind !== 'sip') return { kind: 'invalid', reason: 'Bad Path' };
    const place = reservedFor(hop.uri, context);
    if (place !== null) return { kind: 'refused', reason: `Path Names ${PLACES[place]}` };
  }
  return null;
}

/** The gateway may itself be the trusted proxy that its phones register through. */
function reservedFor(uri: SipUri, { reserved, trusted }: RegistrationContext): ReservedPlace | null {
  const place = reserved(uri);
  return place === 'gateway' && trusted ? null : place;
}

/** RFC 3261 10.2.2: `*` stands alone and only with Expires: 0. */
function removeAll(request: SipRequest, contacts: number): Registration {
  const alone = contacts === 1 && request.header('expires') === '0';
  return alone ? { kind: 'remove-all' } : { kind: 'invalid', reason: 'Bad Contact Wildcard' };
}

/** The contact's own parameter, the Expires header, the default; capped. A malformed value counts as absent (20.19). */
function expirySeconds(request: SipRequest, contact: NameAddr, bounds: ExpiryBounds): number {
  const asked =
    parseCount(contact.parameters.get('expires') ?? '', LONGEST_EXPIRY_SECONDS) ??
    parseCount(request.header('expires') ?? '', LONGEST_EXPIRY_SECONDS) ??
    bounds.defaultSeconds;
  return Math.min(asked, bounds.maxSeconds);
}

/** The URI without its headers, which would get into the Request-URI of every call to it (RFC 3261 19.1.5). */
function withoutHeaders(uriText: string, { headers }: SipUri): string {
  return headers === undefined ? uriText : uriText.slice(0, -headers.length - 1);
}

function bindingOf(
  request: SipRequest,
  contact: NameAddr,
  uri: SipUri,
  seconds: number,
  { source, owner, nowMs }: RegistrationContext,
): Binding {
  const instance = contact.parameters.get('+sip.instance');
  const userAgent = request.header('user-agent');
  return {
    contact: flattened(withoutHeaders(contact.uriText, uri)),
    contactKey: flattened(uriKey({ ...uri, headers: undefined })),
    callId: flattened(request.callId ?? ''),
    cseq: request.cseq?.sequence ?? 0,
    registeredAtMs: nowMs,
    expiresAtMs: seconds === 0 ? 0 : nowMs + seconds * 1000,
    q: thousandths(contact.parameters.get('q')),
    instance: instance === undefined ? null : flattened(instance),
    regId: parseCount(contact.parameters.get('reg-id') ?? '', 2 ** 31 - 1) ?? null,
    flow: source.token,
    owner,
    received: `${source.transport}:${source.remoteAddress}:${source.remotePort}`,
    path: request.values('path').map(flattened),
    userAgent: userAgent === undefined ? null : flattened(userAgent.slice(0, 255)),
  };
}

/** The address and port of a phone over UDP; undefined for one over a connection. */
export function datagramSource({
  received,
}: Pick<Binding, 'received'>): readonly [string, number] | undefined {
  const [, address = '', port] = /^udp:(.*):(\d+)$/.exec(received) ?? [];
  return port === undefined ? undefined : [address, Number(port)];
}

/** RFC 3261 20.10: q from 0 to 1, absent is 1. */
function thousandths(q: string | undefined): number {
  const value = q === undefined ? 1 : Number(q);
  return value >= 0 && value <= 1 ? Math.round(value * 1000) : 1000;
}
