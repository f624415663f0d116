import type { SipRequest } from './message.ts';

/** The Reason of a CANCEL to a target whose call another one took: its user has missed nothing (RFC 3326 3.1). */
export const COMPLETED_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"';

/** True for a CANCEL with that Reason, whatever its text. */
export function saysCompletedElsewhere(cancel: SipRequest): boolean {
  return cancel.values('reason').some((value) => {
    const [protocol, ...parameters] = value.split(';').map((part) => part.trim().toLowerCase());
    return protocol === 'sip' && parameters.some((parameter) => /^cause\s*=\s*200$/.test(parameter));
  });
}
