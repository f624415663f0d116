/** One contact of an address of record (RFC 3261 section 10). Times are milliseconds since 1970. */
export interface Binding {
  /** The Contact URI as registered. */
  readonly contact: string;
  readonly callId: string;
  readonly cseq: number;
  readonly expiresAtMs: number;
  /** 0 to 1000: the q parameter in thousandths. */
  readonly q: number;
  /** `+sip.instance` and `reg-id` (RFC 5626), null without. */
  readonly instance: string | null;
  readonly regId: number | null;
  /** The connection it came over, known to the process named by `owner`; null for UDP. */
  readonly flow: string | null;
  readonly owner: string | null;
  /** Where the REGISTER came from: `udp:192.0.2.1:5060`. */
  readonly received: string;
  /** Path header values (RFC 3327), outermost first. */
  readonly path: readonly string[];
  readonly userAgent: string | null;
}

/** What one REGISTER asks for: bindings to write (those with `expiresAtMs` in the past are removed), or all to go. */
export type BindingChange =
  | { readonly removeAll: true; readonly callId: string; readonly cseq: number }
  | { readonly bindings: readonly Binding[] };

/** `out-of-order`: an older CSeq of the same Call-ID than what stands (RFC 3261 section 10.3 step 7). */
export type BindingOutcome =
  | { readonly kind: 'ok'; readonly bindings: readonly Binding[] }
  | { readonly kind: 'out-of-order' }
  | { readonly kind: 'too-many' };

/** Two bindings of one AoR are the same when instance and reg-id are, else when the contact is. */
export function bindingKeyOf(binding: Pick<Binding, 'contact' | 'instance' | 'regId'>): string {
  return binding.instance === null ? binding.contact : `${binding.instance};${binding.regId ?? 0}`;
}

/** Applies a change to what stands. Pure; whoever calls it makes it atomic. */
export function changeBindings(
  standing: readonly Binding[],
  change: BindingChange,
  nowMs: number,
  maxContacts: number,
): BindingOutcome {
  const live = standing.filter((binding) => binding.expiresAtMs > nowMs);
  if ('removeAll' in change) {
    const stale = live.some((binding) => binding.callId === change.callId && binding.cseq >= change.cseq);
    return stale ? { kind: 'out-of-order' } : { kind: 'ok', bindings: [] };
  }
  const byKey = new Map(live.map((binding) => [bindingKeyOf(binding), binding]));
  for (const binding of change.bindings) {
    const key = bindingKeyOf(binding);
    const before = byKey.get(key);
    if (before && before.callId === binding.callId && before.cseq >= binding.cseq)
      return { kind: 'out-of-order' };
    if (binding.expiresAtMs > nowMs) byKey.set(key, binding);
    else byKey.delete(key);
  }
  if (byKey.size > maxContacts) return { kind: 'too-many' };
  return { kind: 'ok', bindings: [...byKey.values()] };
}
