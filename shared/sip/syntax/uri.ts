import { isDigits, isHost, isToken, parseCount, unescaped } from './lexical.ts';
import { NO_PARAMETERS, type Parameters } from './parameters.ts';

/** RFC 3261 19.1. */
export interface SipUri {
  readonly kind: 'sip';
  readonly scheme: 'sip' | 'sips';
  /** As written; `userOf` decodes it. */
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Lower case; IPv6 keeps its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly parameters: Parameters;
  /** What follows `?`, as written. */
  readonly headers: string | undefined;
}

/** RFC 3966. */
export interface TelUri {
  readonly kind: 'tel';
  readonly scheme: 'tel';
  /** Without visual separators. */
  readonly number: string;
  readonly parameters: Parameters;
}

/** Any other absolute URI, e.g. `urn:service:sos`. */
export interface OtherUri {
  readonly kind: 'other';
  readonly scheme: string;
  readonly rest: string;
}

export type Uri = SipUri | TelUri | OtherUri;

/** Undefined for text that is no URI. */
export function parseUri(text: string): Uri | undefined {
  const colon = text.indexOf(':');
  if (colon <= 0) return undefined;
  const scheme = text.slice(0, colon).toLowerCase();
  if (scheme === 'sip' || scheme === 'sips') return parseSipUri(text, scheme, colon + 1);
  if (!isScheme(scheme) || !isVisible(text)) return undefined;
  if (scheme === 'tel') return parseTelUri(text, colon + 1);
  return { kind: 'other', scheme, rest: text.slice(colon + 1) };
}

/** The user part (or tel number) with its escapes decoded: `%2A52` is `*52`. Undefined without a user, or with NUL in it. */
export function userOf(uri: Uri | undefined): string | undefined {
  const user = uri?.kind === 'sip' ? uri.user : uri?.kind === 'tel' ? uri.number : undefined;
  if (user === undefined) return undefined;
  const plain = unescaped(user);
  return plain === undefined || plain.includes('\0') ? undefined : plain;
}

/** The URI as written without what follows its `?`: URI headers have no place in a Request-URI (RFC 3261 19.1.1). */
export function withoutHeaders(uriText: string): string {
  const uri = parseUri(uriText);
  if (uri?.kind !== 'sip' || uri.headers === undefined) return uriText;
  return uriText.slice(0, uriText.length - uri.headers.length - 1);
}

function parseSipUri(text: string, scheme: 'sip' | 'sips', start: number): SipUri | undefined {
  if (!isVisible(text)) return undefined;
  const at = text.indexOf('@', start);
  let user: string | undefined;
  let password: string | undefined;
  if (at >= 0) {
    const colon = text.indexOf(':', start);
    const hasPassword = colon >= 0 && colon < at;
    user = text.slice(start, hasPassword ? colon : at);
    password = hasPassword ? text.slice(colon + 1, at) : undefined;
    if (user === '' || unescaped(user) === undefined) return undefined;
    start = at + 1;
  }
  const question = text.indexOf('?', start);
  const end = question < 0 ? text.length : question;
  const semicolon = text.indexOf(';', start);
  const hostEnd = semicolon < 0 || semicolon > end ? end : semicolon;
  const hostPort = parseHostPort(text.slice(start, hostEnd));
  const parameters = parseUriParameters(text, hostEnd, end);
  if (hostPort === undefined || parameters === undefined || !isMaddr(parameters.get('maddr')))
    return undefined;
  const headers = question < 0 ? undefined : text.slice(question + 1);
  return {
    kind: 'sip',
    scheme,
    user,
    password,
    host: hostPort.host,
    port: hostPort.port,
    parameters,
    headers,
  };
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`; the host in lower case. */
export function parseHostPort(text: string): { host: string; port: number | undefined } | undefined {
  const hostEnd = text.charCodeAt(0) === 91 ? text.indexOf(']') + 1 : endOfName(text);
  const host = text.slice(0, hostEnd);
  if (hostEnd === 0 || !isHost(host)) return undefined;
  if (hostEnd === text.length) return { host: host.toLowerCase(), port: undefined };
  const port = text.charCodeAt(hostEnd) === 58 ? parseCount(text.slice(hostEnd + 1), 65535) : undefined;
  return port === undefined || port === 0 ? undefined : { host: host.toLowerCase(), port };
}

/** RFC 3261 19.1.1: `maddr` is a host; absent is sound. */
const isMaddr = (maddr: string | undefined): boolean => maddr === undefined || isHost(maddr);

function endOfName(text: string): number {
  const colon = text.indexOf(':');
  return colon < 0 ? text.length : colon;
}

function parseUriParameters(text: string, start: number, end: number): Parameters | undefined {
  if (start >= end) return NO_PARAMETERS;
  const parameters = new Map<string, string>();
  for (const part of text.slice(start + 1, end).split(';')) {
    const equals = part.indexOf('=');
    const name = (equals < 0 ? part : part.slice(0, equals)).toLowerCase();
    if (name === '' || parameters.has(name)) return undefined;
    parameters.set(name, equals < 0 ? '' : part.slice(equals + 1));
  }
  return parameters;
}

function parseTelUri(text: string, start: number): TelUri | undefined {
  const semicolon = text.indexOf(';', start);
  const end = semicolon < 0 ? text.length : semicolon;
  let number = '';
  for (let i = start; i < end; i++) {
    const character = text.charAt(i);
    if ('-.()'.includes(character)) continue;
    if (!'+0123456789*#abcdefABCDEF%'.includes(character)) return undefined;
    number += character;
  }
  const parameters = parseUriParameters(text, end, text.length);
  if (number === '' || number === '+' || parameters === undefined) return undefined;
  if (number.startsWith('+') && !isDigits(number.slice(1))) return undefined;
  return { kind: 'tel', scheme: 'tel', number, parameters };
}

function isScheme(scheme: string): boolean {
  const first = scheme.charCodeAt(0);
  return first >= 97 && first <= 122 && isToken(scheme);
}

/** No controls, blanks, quotes or angle brackets: none of them is legal in a URI, and each is a trap when logged or copied. */
function isVisible(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 32 || code === 34 || code === 60 || code === 62 || code === 127) return false;
  }
  return true;
}
