/** The option tags that IANA knows: each is the business of the phones, not of a star code. */
const KNOWN = new Set(
  `100rel 199 answermode early-session eventlist explicitsub from-change geolocation-http geolocation-sip gin gruu histinfo
  ice join multiple-refer norefersub nosub outbound path policy precondition pref privacy recipient-list-invite
  recipient-list-message recipient-list-subscribe record-aware replaces resource-priority sdp-anat sec-agree siprec tdialog
  timer trickle-ice uui`.split(/\s+/),
);

/** F13: those in Require that nobody can support. */
export function unknownTags(required: readonly string[]): readonly string[] {
  return required.filter((tag) => !KNOWN.has(tag.toLowerCase()));
}
