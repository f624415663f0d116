/** What an INVITE says about its caller, already parsed by the SIP layer. */
export interface CallerClaims {
  /** User part and URI of P-Asserted-Identity; null unless a trusted peer sent it. */
  readonly asserted: { readonly number: string; readonly uri: string } | null;
  /** The terminal whose digest credentials were verified. */
  readonly authenticated: { readonly number: string; readonly uri: string } | null;
  /** The values of the Privacy header (RFC 3323), lower-case. */
  readonly privacy: readonly string[];
  /** URI of the From header. */
  readonly fromUri: string;
}

export interface Caller {
  /** Null when withheld or unknown (R7). */
  readonly number: string | null;
  readonly uri: string | null;
  /** Why there is no number. */
  readonly withheld: 'privacy' | 'anonymous' | 'unknown' | null;
}

const HIDING = ['id', 'user', 'header'];
/** RFC 3323 4.2, RFC 3325 9.3, RFC 7044 10.1: what a redialed call may ask for again. */
const REPEATABLE = [...HIDING, 'session', 'critical', 'history'];

/**
 * The caller's identity (R5): P-Asserted-Identity of a trusted peer, else the authenticated user; never Contact,
 * Diversion or Referred-By. Withheld by Privacy id, user or header, by an anonymous From, or for want of an identity (R7).
 */
export function callerOf(claims: CallerClaims): Caller {
  if (claims.privacy.some((value) => HIDING.includes(value)))
    return { number: null, uri: null, withheld: 'privacy' };
  if (isAnonymous(claims.fromUri)) return { number: null, uri: null, withheld: 'anonymous' };
  const identity = claims.asserted ?? claims.authenticated;
  if (identity === null || identity.number === '' || isAnonymous(identity.uri))
    return { number: null, uri: null, withheld: 'unknown' };
  return { number: identity.number, uri: identity.uri, withheld: null };
}

/** The Privacy values of a call that hides its caller, as they are recorded and sent again (F16): `id;user`; null for any other. */
export function hidingPrivacy(values: readonly string[]): string | null {
  if (!values.some((value) => HIDING.includes(value))) return null;
  return REPEATABLE.filter((value) => values.includes(value)).join(';');
}

/**
 * RFC 3323 section 4.1.1.3: `sip:anonymous@anonymous.invalid`. Anybody at that host is nobody (RFC 3261 section 8.1.1.3),
 * and so is the user `anonymous` at any host, as gateways write it.
 */
export function isAnonymous(uri: string): boolean {
  const match = /^sips?:(?:([^@]*)@)?([^@:;?>]*)/i.exec(uri);
  if (!match) return false;
  const user = match[1]?.split(':', 1)[0]?.toLowerCase();
  return user === 'anonymous' || match[2]?.toLowerCase() === 'anonymous.invalid';
}
