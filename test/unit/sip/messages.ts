import { type SipMessage, SipRequest, SipResponse } from '../../../shared/sip/message/message.ts';
import { parseMessage } from '../../../shared/sip/message/parse.ts';

/** Joins header lines into a message without a body. */
export const text = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`;

export interface RequestFields {
  readonly method?: string;
  readonly uri?: string;
  readonly branch?: string;
  readonly fromTag?: string;
  readonly toTag?: string;
  readonly callId?: string;
  readonly sequence?: number;
  readonly extra?: readonly string[];
}

/** A sound request; each field may be replaced. */
export function requestText(fields: RequestFields = {}): string {
  const { method = 'INVITE', uri = 'sip:bob@example.com', branch = 'z9hG4bKalice1', sequence = 1 } = fields;
  return text(
    `${method} ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP 192.0.2.1:5060;branch=${branch}`,
    'Max-Forwards: 70',
    `From: Alice <sip:alice@example.com>;tag=${fields.fromTag ?? 'a1'}`,
    `To: <sip:bob@example.com>${fields.toTag === undefined ? '' : `;tag=${fields.toTag}`}`,
    `Call-ID: ${fields.callId ?? 'call-1@192.0.2.1'}`,
    `CSeq: ${sequence} ${method}`,
    ...(fields.extra ?? []),
    'Content-Length: 0',
  );
}

export function parsedRequest(source: string | RequestFields = {}): SipRequest {
  const message = parseMessage(typeof source === 'string' ? source : requestText(source));
  if (!(message instanceof SipRequest)) throw new Error('no request');
  return message;
}

export function parsedResponse(source: string): SipResponse {
  const message = parseMessage(source);
  if (!(message instanceof SipResponse)) throw new Error('no response');
  return message;
}

/** The response a peer would send to a request's text. */
export function responseTo(
  request: string,
  status: number,
  toTag = 'b1',
  extra: readonly string[] = [],
): string {
  const parsed = parseMessage(request) as SipMessage;
  const to = parsed.header('to') ?? '';
  return text(
    `SIP/2.0 ${status} Reason`,
    ...parsed.headerLines('via').map((via) => `Via: ${via}`),
    `From: ${parsed.header('from')}`,
    `To: ${to}${to.includes('tag=') || status === 100 ? '' : `;tag=${toTag}`}`,
    `Call-ID: ${parsed.callId}`,
    `CSeq: ${parsed.header('cseq')}`,
    ...extra,
    'Content-Length: 0',
  );
}
