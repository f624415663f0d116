import { canonicalName, displayName } from './header-names.ts';
import type { SipMessage, SipRequest } from './message.ts';
import { reasonPhrase } from './reason-phrases.ts';

/** A header to write: its name in any spelling and its value. */
export type HeaderLine = readonly [name: string, value: string];

/** A response ready to send. */
export interface OutgoingResponse {
  readonly status: number;
  readonly text: string;
}

/** A response made here (RFC 3261 8.2.6). */
export interface ResponseParts {
  readonly status: number;
  readonly reason?: string | undefined;
  /** Added to To when the request's To has none; never to a 100. */
  readonly toTag?: string | undefined;
  readonly headers?: readonly HeaderLine[] | undefined;
  readonly body?: string | undefined;
}

const ECHOED = ['from', 'call-id', 'cseq'];

/** Methods whose 101 to 299 responses open a dialog and carry the request's Record-Route (RFC 3261 12.1.1, 16.6 item 4). */
const OPENS_DIALOG = new Set(['INVITE', 'SUBSCRIBE', 'REFER', 'NOTIFY']);

/** Copies Via, From, To, Call-ID, CSeq (Timestamp into a 100, Record-Route where a dialog opens), then adds headers and body. */
export function buildResponse(request: SipRequest, parts: ResponseParts): OutgoingResponse {
  const { status, body = '' } = parts;
  let text = `SIP/2.0 ${status} ${parts.reason ?? reasonPhrase(status)}\r\n`;
  for (let i = request.indexOf('via'); i >= 0; i = request.indexOf('via', i + 1))
    text += line('via', request.valueAt(i));
  const to = taggedTo(request, status === 100 ? undefined : parts.toTag);
  if (to !== undefined) text += line('to', to);
  for (const name of ECHOED) {
    const value = request.header(name);
    if (value !== undefined) text += line(name, value);
  }
  if (status === 100) text += timestamp(request);
  if (opensDialog(request, parts)) text += recordRoute(request);
  for (const [name, value] of parts.headers ?? []) text += line(canonicalName(name), value);
  return { status, text: `${text}Content-Length: ${body.length}\r\n\r\n${body}` };
}

/** A header line with its usual spelling. Line ends in a value would start a new header, so they become blanks. */
export function line(canonical: string, value: string): string {
  const safe =
    value.includes('\n') || value.includes('\r') ? value.replaceAll('\r', ' ').replaceAll('\n', ' ') : value;
  return `${displayName(canonical)}: ${safe}\r\n`;
}

function taggedTo(request: SipRequest, tag: string | undefined): string | undefined {
  const to = request.header('to');
  return to === undefined || tag === undefined || request.to?.tag !== undefined ? to : `${to};tag=${tag}`;
}

function timestamp(request: SipMessage): string {
  const value = request.header('timestamp');
  return value === undefined ? '' : line('timestamp', value);
}

/** Not when the caller brings Record-Route itself. */
function opensDialog({ method }: SipRequest, { headers = [], status }: ResponseParts): boolean {
  if (status <= 100 || status >= 300 || !OPENS_DIALOG.has(method)) return false;
  return !headers.some(([name]) => canonicalName(name) === 'record-route');
}

function recordRoute(request: SipRequest): string {
  let lines = '';
  for (const value of request.headerLines('record-route')) lines += line('record-route', value);
  return lines;
}
