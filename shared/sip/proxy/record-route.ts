import { createHmac } from 'node:crypto';
import { acceptedKeys, type SigningKeySource } from '../../domain/site-secret.ts';
import type { MessageDraft } from '../message/draft.ts';
import type { SipRequest } from '../message/message.ts';
import type { SipUri } from '../syntax/uri.ts';
import type { Flow } from '../transport/flow.ts';
import type { Listener } from '../transport/listener.ts';

const SIGNATURE_CHARACTERS = 16;
const SEPARATOR = '~';

/**
 * The user part of this server's Record-Route: a signature over Call-ID, so that nobody but the dialog's parties can use
 * it as a relay, and the token of the flow on that side, where a later request could not find its way by address.
 */
export class RouteSigner {
  readonly #keys: SigningKeySource;

  constructor(keys: SigningKeySource) {
    this.#keys = keys;
  }

  sign(callId: string): string {
    return signature(callId, this.#keys().current);
  }

  /** The flow token in a Route of ours; '' without one; undefined when it was not signed for this Call-ID. */
  flowToken(route: SipUri, callId: string): string | undefined {
    const user = route.user ?? '';
    const given = user.slice(0, SIGNATURE_CHARACTERS);
    if (!acceptedKeys(this.#keys()).some((key) => given === signature(callId, key))) return undefined;
    return user.slice(SIGNATURE_CHARACTERS + SEPARATOR.length);
  }
}

function signature(callId: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(callId).digest('base64url').slice(0, SIGNATURE_CHARACTERS);
}

/** The two sides of a forwarded request. `pinned`: the owner chose this flow, so the way back needs it too. */
export interface Passage {
  readonly source: Flow;
  readonly out: Flow;
  readonly pinned: boolean;
}

/**
 * Adds Record-Route (RFC 3261 16.6 item 4). One value when both sides are plain UDP on one listener; otherwise one for each
 * side, the outgoing one on top, so that each party talks to the address and transport it already uses (RFC 5658).
 */
export function addRecordRoute(
  draft: MessageDraft,
  request: SipRequest,
  passage: Passage,
  signer: RouteSigner,
): void {
  const { out, pinned, source } = passage;
  const signed = signer.sign(request.callId ?? '');
  const inToken = source.reliable || isBehindNat(request, source) ? source.token : '';
  const outToken = pinned ? out.token : '';
  draft.push('record-route', routeValue(source.listener, signed, inToken));
  if (inToken !== '' || outToken !== '' || source.listener !== out.listener) {
    draft.push('record-route', routeValue(out.listener, signed, outToken));
  }
}

function routeValue(listener: Listener, signed: string, token: string): string {
  const user = token === '' ? signed : signed + SEPARATOR + token;
  return `<${listener.routeUri.replace('sip:', `sip:${user}@`)}>`;
}

/** Its Via does not say where it came from, so its Contact will not lead there either. */
function isBehindNat(request: SipRequest, source: Flow): boolean {
  const via = request.topVia;
  return via === undefined || via.host !== source.remoteAddress || (via.port ?? 5060) !== source.remotePort;
}
