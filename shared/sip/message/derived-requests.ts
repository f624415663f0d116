import { MessageDraft } from './draft.ts';
import type { SipRequest, SipResponse } from './message.ts';

/** RFC 3261 9.1: the CANCEL of an INVITE this server sent; same top Via, Request-URI, To, From, Call-ID, CSeq number, Route. */
export function buildCancel(invite: SipRequest, reason?: string): string {
  const draft = derived(invite, 'CANCEL', invite.header('to') ?? '');
  if (reason !== undefined) draft.append('reason', reason);
  return draft.serialize();
}

/** RFC 3261 17.1.1.3: the ACK for a final response other than 2xx, within the INVITE's transaction; To is the response's. */
export function buildAck(invite: SipRequest, response: SipResponse): string {
  return derived(invite, 'ACK', response.header('to') ?? '').serialize();
}

function derived(invite: SipRequest, method: 'ACK' | 'CANCEL', to: string): MessageDraft {
  const draft = MessageDraft.request(method, invite.requestUri);
  draft.append('via', invite.values('via')[0] ?? '');
  for (const route of invite.headerLines('route')) draft.append('route', route);
  draft.append('max-forwards', '70');
  draft.append('from', invite.header('from') ?? '');
  draft.append('to', to);
  draft.append('call-id', invite.callId ?? '');
  draft.append('cseq', `${invite.cseq?.sequence ?? 0} ${method}`);
  return draft;
}
