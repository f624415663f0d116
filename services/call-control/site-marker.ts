import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';

/** The sites that a request has passed, in order. Written when it leaves for a peer site or a gateway. */
const MARKER = 'x-lastcall-sites';
/** On a 480 to a peer site: the callee is not registered here, so nobody has recorded the call yet. */
const OFFLINE = 'x-lastcall-offline';

export function sitesPassed(request: SipRequest): readonly string[] {
  return request.values(MARKER).map((site) => site.toLowerCase());
}

export function markPassed(draft: MessageDraft, request: SipRequest, site: string): void {
  draft.set(MARKER, [...sitesPassed(request), site].join(', '));
}

export function unmark(draft: MessageDraft): void {
  draft.remove(MARKER);
}

export const offlineHeader = (site: string): readonly [string, string] => [OFFLINE, site];

export function saysOffline(response: { header(name: string): string | undefined } | undefined): boolean {
  return response?.header(OFFLINE) !== undefined;
}
