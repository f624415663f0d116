/** One contact of an address of record (RFC 3261 section 10). Times are milliseconds since 1970. */
export interface Binding {
  /** The Contact URI as registered, without URI headers: a Request-URI, never a destination (G2). */
  readonly contact: string;
  /** The same for every spelling of `contact`. */
  readonly contactKey: string;
  readonly callId: string;
  readonly cseq: number;
  readonly registeredAtMs: number;
  readonly expiresAtMs: number;
  /** 0 to 1000: the q parameter in thousandths. */
  readonly q: number;
  /** `+sip.instance` and `reg-id` (RFC 5626), null without. */
  readonly instance: string | null;
  readonly regId: number | null;
  /** The token of the flow that the REGISTER came over: where its calls go. Known to the process named by `owner`. */
  readonly flow: string;
  /** That process, as a SIP URI. */
  readonly owner: string;
  /** Where the REGISTER came from: `udp:192.0.2.1:5060`. */
  readonly received: string;
  /** Path header values (RFC 3327), outermost first. */
  readonly path: readonly string[];
  readonly userAgent: string | null;
}

/**
 * What one REGISTER asks for: bindings to write (those with `expiresAtMs` in the past are removed), or all to go.
 * `lostFlow`: a connection has closed, and what came over it is gone. `forget`: the terminal was removed or disabled.
 */
export type BindingChange =
  | { readonly removeAll: true; readonly callId: string; readonly cseq: number }
  | { readonly bindings: readonly Binding[] }
  | { readonly lostFlow: string }
  | { readonly forget: true };

/**
 * `out-of-order`: an older CSeq of the same Call-ID than what stands (RFC 3261 section 10.3 step 7). `too-many`: more
 * contacts in one request than an address of record may have.
 */
export type BindingOutcome =
  | { readonly kind: 'ok'; readonly bindings: readonly Binding[] }
  | { readonly kind: 'out-of-order' }
  | { readonly kind: 'too-many' };

/** Two bindings of one AoR are the same when instance and reg-id are, else when the contact is. */
export function bindingKeyOf({ contactKey, instance, regId }: Binding): string {
  return instance === null ? contactKey : `${instance};${regId ?? 0}`;
}

/** Applies a change to what stands. Pure; whoever calls it makes it atomic. */
export function changeBindings(
  standing: readonly Binding[],
  change: BindingChange,
  nowMs: number,
  maxContacts: number,
): BindingOutcome {
  const live = standing.filter((binding) => binding.expiresAtMs > nowMs);
  if ('forget' in change) return { kind: 'ok', bindings: [] };
  if ('lostFlow' in change)
    return { kind: 'ok', bindings: live.filter(({ flow }) => flow !== change.lostFlow) };
  if ('removeAll' in change) {
    const stale = live.some((binding) => binding.callId === change.callId && binding.cseq >= change.cseq);
    return stale ? { kind: 'out-of-order' } : { kind: 'ok', bindings: [] };
  }
  const added = change.bindings.filter((binding) => binding.expiresAtMs > nowMs);
  if (added.length > maxContacts) return { kind: 'too-many' };
  let bindings = live;
  for (const binding of change.bindings) {
    const before = bindings.filter((standing) => replaces(binding, standing));
    if (before.some(({ callId, cseq }) => callId === binding.callId && cseq >= binding.cseq))
      return { kind: 'out-of-order' };
    bindings = bindings.filter((standing) => !before.includes(standing));
    if (binding.expiresAtMs > nowMs) bindings.push(binding);
  }
  return { kind: 'ok', bindings: youngest(bindings, maxContacts) };
}

/** RFC 5626 6: a registration takes the place of its own flow, and of what its instance registered without reg-id. */
function replaces(next: Binding, standing: Binding): boolean {
  if (bindingKeyOf(next) === bindingKeyOf(standing)) return true;
  if (next.instance === null || next.instance !== standing.instance) return false;
  return next.regId === null || standing.regId === null;
}

/** The oldest registrations give way: a user whose phone restarts under new names is never locked out. */
function youngest(bindings: readonly Binding[], most: number): readonly Binding[] {
  if (bindings.length <= most) return bindings;
  const kept = new Set([...bindings].sort((a, b) => b.registeredAtMs - a.registeredAtMs).slice(0, most));
  return bindings.filter((binding) => kept.has(binding));
}

/**
 * Those that a call goes to, most preferred first. An instance with several flows is called on the one it registered
 * last (RFC 5626 7).
 */
export function callable(bindings: readonly Binding[], nowMs: number): readonly Binding[] {
  const live = bindings.filter((binding) => binding.expiresAtMs > nowMs);
  const isLatest = (binding: Binding) =>
    binding.instance === null ||
    !live.some(
      (other) => other.instance === binding.instance && other.registeredAtMs > binding.registeredAtMs,
    );
  return live.filter(isLatest).sort((a, b) => b.q - a.q);
}
