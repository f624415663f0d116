import type { MessageDraft } from '../message/draft.ts';
import type { Flow } from '../transport/flow.ts';
import type { Listener } from '../transport/listener.ts';

/**
 * Adds Record-Route (RFC 3261 16.6 item 4) with the dialog's ticket, and returns how many values: one when both sides are on one
 * listener, otherwise one for each side, the outgoing one on top, so that each party talks to the address and transport it already
 * uses (RFC 5658).
 */
export function addRecordRoute(draft: MessageDraft, ticket: string, source: Flow, out: Flow): number {
  draft.push('record-route', routeValue(source.listener, ticket));
  if (source.listener === out.listener) return 1;
  draft.push('record-route', routeValue(out.listener, ticket));
  return 2;
}

const routeValue = (listener: Listener, ticket: string): string =>
  `<${listener.routeUri.replace('sip:', `sip:${ticket}@`)}>`;
