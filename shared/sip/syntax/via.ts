import { isToken, parseCount, skipBlank, trimmed } from './lexical.ts';
import { type Parameters, parseParameters } from './parameters.ts';
import { parseHostPort } from './uri.ts';

/** RFC 3261 20.42, RFC 3581. */
export interface Via {
  /** Upper case: UDP, TCP, TLS, WS, WSS or an unknown token. */
  readonly transport: string;
  /** Lower case; IPv6 keeps its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly branch: string | undefined;
  readonly received: string | undefined;
  /** A number once filled in, 'asked' for a bare `rport`. */
  readonly rport: number | 'asked' | undefined;
  readonly maddr: string | undefined;
  readonly parameters: Parameters;
}

/** Starts every branch made by an RFC 3261 element (8.1.1.7). */
export const MAGIC_COOKIE = 'z9hG4bK';

/** Reads one Via value (no comma list). Undefined when malformed or not SIP/2.0. */
export function parseVia(text: string): Via | undefined {
  const sentByAt = endOfProtocol(text);
  if (sentByAt < 0) return undefined;
  const semicolon = text.indexOf(';', sentByAt);
  const sentByEnd = semicolon < 0 ? text.length : semicolon;
  const hostPort = parseHostPort(withoutBlanks(trimmed(text, sentByAt, sentByEnd), ':'));
  const parameters = parseParameters(text, sentByEnd);
  if (hostPort === undefined || parameters === undefined) return undefined;
  const rport = parameters.get('rport');
  return {
    transport: transportOf(text, sentByAt),
    host: hostPort.host,
    port: hostPort.port,
    branch: parameters.get('branch'),
    received: parameters.get('received'),
    rport: rport === undefined ? undefined : rport === '' ? 'asked' : parseCount(rport, 65535),
    maddr: parameters.get('maddr'),
    parameters,
  };
}

/** Where sent-by starts after `SIP / 2.0 / UDP `; -1 when that is not what the text says. */
function endOfProtocol(text: string): number {
  const second = text.indexOf('/', text.indexOf('/') + 1);
  if (second <= 0) return -1;
  const name = withoutBlanks(text.slice(0, second), '/').toUpperCase();
  if (name !== 'SIP/2.0') return -1;
  let at = skipBlank(text, second + 1);
  const start = at;
  while (at < text.length && text.charCodeAt(at) > 32) at++;
  return isToken(text.slice(start, at)) ? skipBlank(text, at) : -1;
}

function transportOf(text: string, sentByAt: number): string {
  return trimmed(text, text.indexOf('/', text.indexOf('/') + 1) + 1, sentByAt).toUpperCase();
}

/** Blanks may stand around the separators of `SIP / 2.0` and `host : port` (RFC 3261 25.1 SLASH and COLON). */
function withoutBlanks(text: string, separator: '/' | ':'): string {
  if (!text.includes(' ') && !text.includes('\t')) return text;
  return text
    .split(separator)
    .map((part) => trimmed(part))
    .join(separator);
}
