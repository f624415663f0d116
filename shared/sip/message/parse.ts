import { isToken, trimmed, trimmedEnd } from '../syntax/lexical.ts';
import { canonicalName, usualName } from './header-names.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { type Layout, type SipMessage, SipRequest, SipResponse } from './message.ts';

/**
 * Reads latin1 text in one forward pass that only notes where lines begin and end; values stay unread. A broken
 * header line is noted as `layout.fault`. Undefined when the first line is no SIP start line.
 */
export function parseMessage(text: string, limits: Limits = DEFAULT_LIMITS): SipMessage | undefined {
  const startLineEnd = text.indexOf('\r\n');
  if (startLineEnd < 0) return undefined;
  return startsAsResponse(text)
    ? parseResponse(text, startLineEnd, limits)
    : parseRequest(text, startLineEnd, limits);
}

/** The message over another text or layout: a stream's head once its body is there, a request with a line replaced. */
export function relaid<M extends SipMessage>(message: M, text: string, layout: Layout): M;
export function relaid(message: SipMessage, text: string, layout: Layout): SipMessage {
  if (message instanceof SipRequest) {
    return new SipRequest(text, layout, message.method, message.requestUri, message.version);
  }
  if (message instanceof SipResponse) {
    return new SipResponse(text, layout, message.version, message.status, message.reason);
  }
  return message;
}

const startsAsResponse = (text: string): boolean => text.slice(0, 4).toUpperCase() === 'SIP/';

/** RFC 3261 7.1. A Request-URI with blanks is kept whole, and one behind the version noted, so that both can be answered 400. */
function parseRequest(text: string, startLineEnd: number, limits: Limits): SipRequest | undefined {
  const line = trimmedEnd(text, 0, startLineEnd);
  const methodEnd = line.indexOf(' ');
  const versionStart = line.lastIndexOf(' ');
  if (methodEnd <= 0 || versionStart <= methodEnd) return undefined;
  const version = line.slice(versionStart + 1);
  const method = text.slice(0, methodEnd);
  if (version.slice(0, 4).toUpperCase() !== 'SIP/' || !isToken(method)) return undefined;
  const scanned = scanHeaders(text, startLineEnd, limits);
  const layout =
    line.length === startLineEnd
      ? scanned
      : { ...scanned, fault: scanned.fault ?? 'blank at the end of the start line' };
  return new SipRequest(text, layout, method, text.slice(methodEnd + 1, versionStart), version);
}

/** RFC 3261 7.2. */
function parseResponse(text: string, startLineEnd: number, limits: Limits): SipResponse | undefined {
  const versionEnd = text.indexOf(' ');
  if (versionEnd < 0 || versionEnd + 4 > startLineEnd) return undefined;
  const code = text.slice(versionEnd + 1, versionEnd + 4);
  const status = Number(code);
  if (!(status >= 100 && status <= 699) || trimmed(code) !== code) return undefined;
  if (versionEnd + 4 < startLineEnd && text.charCodeAt(versionEnd + 4) !== 32) return undefined;
  const layout = scanHeaders(text, startLineEnd, limits);
  const reason = text.slice(versionEnd + 5, startLineEnd);
  return new SipResponse(text, layout, text.slice(0, versionEnd), status, reason);
}

function scanHeaders(text: string, startLineEnd: number, limits: Limits): Layout {
  const names: string[] = [];
  const lines: number[] = [];
  let fault: string | undefined;
  let at = startLineEnd + 2;
  while (at < text.length) {
    if (text.charCodeAt(at) === 13 && text.charCodeAt(at + 1) === 10) {
      return { startLineEnd, names, lines, bodyStart: at + 2, fault };
    }
    const end = endOfHeader(text, at);
    const found = end < 0 ? 'header section without an end' : addHeader(text, at, end, names, lines, limits);
    fault ??= found;
    if (end < 0 || names.length > limits.headerCount) break;
    at = end + 2;
  }
  fault ??= 'header section without an end';
  return { startLineEnd, names, lines, bodyStart: text.length, fault };
}

/** The index of the CRLF that ends the header starting at `at`, past its folds; -1 when there is none. */
function endOfHeader(text: string, at: number): number {
  let end = text.indexOf('\r\n', at);
  while (end >= 0) {
    const next = text.charCodeAt(end + 2);
    if (next !== 32 && next !== 9) return end;
    end = text.indexOf('\r\n', end + 2);
  }
  return -1;
}

/** Notes one header; returns what is wrong with it. */
function addHeader(
  text: string,
  start: number,
  end: number,
  names: string[],
  lines: number[],
  limits: Limits,
): string | undefined {
  if (names.length >= limits.headerCount) return 'too many headers';
  const colon = text.indexOf(':', start);
  if (colon < 0 || colon >= end) return 'header line without a colon';
  const name = trimmed(text, start, colon);
  const usual = usualName(name);
  if (usual === undefined && !isToken(name)) return 'header name that is no token';
  names.push(usual ?? canonicalName(name));
  lines.push(start, colon + 1, end);
  if (end - start > limits.lineBytes) return 'header line too long';
  return hasStrayLineEnd(text, start, end) ? 'CR or LF alone inside a header' : undefined;
}

/** A lone CR or LF means different lines to different elements: a way to smuggle headers past one of them. */
function hasStrayLineEnd(text: string, start: number, end: number): boolean {
  const cr = text.indexOf('\r', start);
  if (cr === end && text.indexOf('\n', start) === end + 1) return false;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === 13) {
      if (text.charCodeAt(i + 1) !== 10) return true;
      i++;
    } else if (code === 10) return true;
  }
  return false;
}
