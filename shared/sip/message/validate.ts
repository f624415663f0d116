import { isToken } from '../syntax/lexical.ts';
import { parseContact, parseNameAddr } from '../syntax/name-addr.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import type { SipMessage, SipRequest, SipResponse } from './message.ts';

/** `reason` names the fault in the words of the response's reason phrase. */
export type Validity =
  | { readonly kind: 'valid' }
  | { readonly kind: 'respond'; readonly status: number; readonly reason: string }
  | { readonly kind: 'drop'; readonly reason: string };

const VALID: Validity = { kind: 'valid' };
const drop = (reason: string): Validity => ({ kind: 'drop', reason });
const respond = (status: number, reason: string): Validity => ({ kind: 'respond', status, reason });

/** Headers that may stand once only (RFC 3261 7.3.1, 20). */
const SINGLE = ['from', 'to', 'call-id', 'cseq', 'max-forwards', 'content-length', 'content-type', 'expires'];

/**
 * A request where it enters, in the categories of RFC 4475. It is answered when Via and CSeq can
 * be echoed, also without the other headers (RFC 4475 3.3.1), else dropped; a broken ACK is always dropped, for nothing answers an ACK.
 */
export function validateRequest(request: SipRequest, limits: Limits = DEFAULT_LIMITS): Validity {
  const verdict = requestFault(request, limits);
  if (verdict === undefined) return VALID;
  if (request.method === 'ACK') return drop(verdict.reason);
  return isAnswerable(request) ? respond(verdict.status, verdict.reason) : drop(verdict.reason);
}

/** RFC 3261 16.7 item 3, 18.1.2: a response that cannot be matched or forwarded is dropped. */
export function validateResponse(response: SipResponse): Validity {
  if (response.version.toUpperCase() !== 'SIP/2.0') return drop('Unknown SIP Version');
  if (response.layout.fault !== undefined) return drop(response.layout.fault);
  if (response.topVia === undefined) return drop('Bad Via');
  if (response.cseq === undefined) return drop('Bad CSeq');
  if (response.from === undefined || response.to === undefined || !response.callId)
    return drop('Bad Dialog Fields');
  return hasWholeBody(response) ? VALID : drop('Bad Content-Length');
}

/** By these its sender finds the request that an answer is for (RFC 3261 17.1.3); what else is missing is missing there too. */
const isAnswerable = (request: SipRequest): boolean =>
  ['via', 'cseq'].every((name) => !!request.header(name));

interface Refusal {
  readonly status: number;
  readonly reason: string;
}

const bad = (reason: string): Refusal => ({ status: 400, reason });

function requestFault(request: SipRequest, limits: Limits): Refusal | undefined {
  if (request.version.toUpperCase() !== 'SIP/2.0') return { status: 505, reason: 'Version Not Supported' };
  if (request.layout.fault !== undefined) return bad(phrase(request.layout.fault));
  return (
    dialogFault(request) ?? uriFault(request, limits) ?? headerFault(request) ?? bodyFault(request, limits)
  );
}

const phrase = (fault: string): string => `Bad Request: ${fault}`;

/** RFC 3261 8.1.1: the headers every request carries. */
function dialogFault(request: SipRequest): Refusal | undefined {
  for (const name of SINGLE) if (request.count(name) > 1) return bad(`Repeated ${name}`);
  if (request.topVia === undefined) return bad('Bad Via');
  if (!request.callId) return bad('Missing Call-ID');
  if (request.from === undefined) return bad('Bad From');
  if (request.to === undefined) return bad('Bad To');
  const { cseq } = request;
  if (cseq === undefined) return bad('Bad CSeq');
  return cseq.method === request.method ? undefined : bad('CSeq Method Mismatch');
}

const SCHEMES = new Set(['sip', 'sips', 'tel', 'urn']);

/** RFC 3261 8.2.2.1, 16.3 item 2. */
function uriFault(request: SipRequest, limits: Limits): Refusal | undefined {
  if (request.requestUri.length > limits.requestUriBytes)
    return { status: 414, reason: 'Request-URI Too Long' };
  const { uri } = request;
  if (uri === undefined) return bad('Bad Request-URI');
  if (!SCHEMES.has(uri.scheme)) return { status: 416, reason: 'Unsupported URI Scheme' };
  // 19.1.1: headers and the method parameter are not allowed in a Request-URI; RFC 4475 3.1.2.8 lets us ignore or refuse.
  return uri.kind === 'sip' && uri.headers !== undefined ? bad('Headers in Request-URI') : undefined;
}

function headerFault(request: SipRequest): Refusal | undefined {
  if (request.indexOf('max-forwards') >= 0 && request.maxForwards === undefined)
    return bad('Bad Max-Forwards');
  if (!areNameAddrs(request, 'route')) return bad('Bad Route');
  if (!areNameAddrs(request, 'record-route')) return bad('Bad Record-Route');
  if (request.indexOf('contact') >= 0 && !request.values('contact').every((each) => parseContact(each))) {
    return bad('Bad Contact');
  }
  for (const name of ['require', 'proxy-require']) {
    if (request.indexOf(name) >= 0 && !request.values(name).every(isToken)) return bad(`Bad ${name}`);
  }
  return undefined;
}

/** Route values stand in angle brackets always (RFC 3261 20.34). */
function areNameAddrs(request: SipRequest, name: string): boolean {
  if (request.indexOf(name) < 0) return true;
  return request.values(name).every((each) => each.includes('<') && parseNameAddr(each) !== undefined);
}

function bodyFault(request: SipRequest, limits: Limits): Refusal | undefined {
  if (hasWholeBody(request)) return undefined;
  const tooLarge = (request.contentLength ?? 0) > limits.messageBytes;
  return tooLarge ? { status: 513, reason: 'Message Too Large' } : bad('Bad Content-Length');
}

/** RFC 3261 18.3: a body shorter than announced is an error; a longer datagram is cut. */
function hasWholeBody(message: SipMessage): boolean {
  if (message.indexOf('content-length') < 0) return true;
  const length = message.contentLength;
  return length !== undefined && message.layout.bodyStart + length <= message.text.length;
}
