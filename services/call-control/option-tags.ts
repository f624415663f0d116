import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { Answer } from '../../shared/sip/transaction/user.ts';

/** The option tags that IANA knows: each is the business of the phones, not of a star code. */
const KNOWN = new Set(
  `100rel 199 answermode early-session eventlist explicitsub from-change geolocation-http geolocation-sip gin gruu histinfo
  ice join multiple-refer norefersub nosub outbound path policy precondition pref privacy recipient-list-invite
  recipient-list-message recipient-list-subscribe record-aware replaces resource-priority sdp-anat sec-agree siprec tdialog
  timer trickle-ice uui`.split(/\s+/),
);

/** F13: 420 for what this server answers itself and `supported` does not name; undefined when it may answer. */
export function unsupportedBy(request: SipRequest, supported: readonly string[]): Answer | undefined {
  const unsupported = request.values('require').filter((tag) => !supported.includes(tag.toLowerCase()));
  return unsupported.length === 0
    ? undefined
    : { status: 420, headers: [['Unsupported', unsupported.join(', ')]] };
}

/** F13: those in Require that nobody can support. */
export function unknownTags(required: readonly string[]): readonly string[] {
  return required.filter((tag) => !KNOWN.has(tag.toLowerCase()));
}
