/** Which events lie between two rounds of observation. Pure. A coordinator speaks of what enters its own site. */
import { type LastcallEvent, lastcallEvent } from '../../../shared/domain/alert.ts';
import { isFlowing } from '../../../shared/domain/direction-state.ts';
import { type Micros, micros } from '../../../shared/domain/micros.ts';
import type { Observations, SiteObservation } from '../observe.ts';

export interface Round {
  readonly seen: Observations;
  /** This process's clock at the time of the looks. */
  readonly clockAt: Micros;
  /** Records that wait in the journal; null while nobody knows. */
  readonly journalled: number | null;
  /** Of them those that only a process's memory holds. */
  readonly inMemory?: number;
}

export interface DeriveOptions {
  readonly home: string;
  readonly allowedSkewMs: number;
}

const EXPECTED = new Set(['paused', 'starting', 'shutdown', 'fenced', 'never-started']);
const SLOT_SHARE = 0.5;
/** Well below, so that a slot at the mark is not told each second. */
const FREED_SHARE = 0.4;

/** What a round could not see stands as it was seen last: an outage is neither the end of a trouble nor its begin anew. */
export function asLastKnown(before: Round | null, after: Round): Round {
  const seen = [...after.seen].map(([name, site]): [string, SiteObservation] => {
    const earlier = before?.seen.get(name);
    if (site.bookkeeping || !earlier?.bookkeeping) return [name, site];
    // Its clock has gone on as ours has.
    const clockAt = micros(earlier.bookkeeping.clockAt + (after.clockAt - (before?.clockAt ?? 0)));
    return [name, { ...site, bookkeeping: { ...earlier.bookkeeping, clockAt }, slots: earlier.slots }];
  });
  return { ...after, seen: new Map(seen), journalled: after.journalled ?? before?.journalled ?? null };
}

export function deriveEvents(before: Round | null, after: Round, options: DeriveOptions): LastcallEvent[] {
  const events: LastcallEvent[] = [];
  for (const site of after.seen.values()) {
    const earlier = before?.seen.get(site.site) ?? null;
    events.push(...reachability(earlier, site), ...clockSkew(earlier, site, before, after, options));
    if (site.site === options.home) events.push(...directions(earlier, site), ...slots(earlier, site));
  }
  return [...events, ...journal(before, after, options.home)];
}

function reachability(before: SiteObservation | null, after: SiteObservation): LastcallEvent[] {
  const events: LastcallEvent[] = [];
  const { site, view } = after;
  const was = before?.view.reachable ?? true;
  if (was && !view.reachable) events.push(lastcallEvent('site-unreachable', site, { reason: view.reason }));
  if (!was && view.reachable) events.push(lastcallEvent('site-reachable', site));
  if (isDivided(after) && !isDivided(before)) {
    const hosts = writable(after).map(({ host }) => host);
    events.push(lastcallEvent('two-primaries', site, { detail: { hosts: hosts.join(', ') } }));
  }
  if (isDivided(before) && !isDivided(after) && writable(after).length === 1)
    events.push(lastcallEvent('one-primary', site));
  return events;
}

const writable = (site: SiteObservation | null) =>
  site?.hosts.filter(({ state }) => state === 'primary' || state === 'left-behind') ?? [];

/** One that was left behind is one too many also while the newest does not answer. */
const isDivided = (site: SiteObservation | null): boolean =>
  writable(site).length > 1 || writable(site).some(({ state }) => state === 'left-behind');

function directions(before: SiteObservation | null, after: SiteObservation): LastcallEvent[] {
  if (!after.bookkeeping) return [];
  const earlier = new Map((before?.bookkeeping?.statuses ?? []).map((status) => [status.peer, status]));
  return after.bookkeeping.statuses.flatMap(({ peer, state, reason }) => {
    const known = earlier.get(peer);
    // A standstill that was asked for, or was the beginning, is none; what comes after it may be.
    const expected = known?.state === 'stopped' && EXPECTED.has(known.reason ?? '');
    const was = expected ? null : (known?.state ?? null);
    const ends = { from: peer, to: after.site, reason };
    if (was === state) return [];
    if (state === 'needs-resync') return [lastcallEvent('needs-resync', after.site, ends)];
    if (isFlowing(state))
      return was !== null && isFlowing(was) ? [] : [lastcallEvent('replication-started', after.site, ends)];
    // A resynchronisation under way is told as its begin and end, not as a standstill.
    // Nor is at the first look what was asked for, or has just begun.
    return state === 'stopped' && (was !== null || !EXPECTED.has(reason ?? ''))
      ? [lastcallEvent('replication-stopped', after.site, ends)]
      : [];
  });
}

/** Half of what a slot may hold is used: time left to mend the peer before its direction must be made anew. */
function slots(before: SiteObservation | null, after: SiteObservation): LastcallEvent[] {
  return [...after.slots].flatMap(([subscriber, slot]) => {
    const [was, share] = [usedShare(before?.slots.get(subscriber)), usedShare(slot)];
    const detail = { retainedBytes: slot.retainedBytes, usedPercent: Math.round(share * 100) };
    const about = { from: after.site, to: subscriber, detail };
    if (share >= SLOT_SHARE && was < SLOT_SHARE) return [lastcallEvent('slot-budget', after.site, about)];
    const freed = share < FREED_SHARE && was >= FREED_SHARE;
    return freed ? [lastcallEvent('slot-budget-freed', after.site, about)] : [];
  });
}

function usedShare(
  slot: { readonly retainedBytes: number; readonly safeWalBytes: number | null } | undefined,
): number {
  if (!slot || slot.safeWalBytes === null) return 0;
  return slot.retainedBytes / Math.max(1, slot.retainedBytes + slot.safeWalBytes);
}

function clockSkew(
  before: SiteObservation | null,
  after: SiteObservation,
  earlier: Round | null,
  round: Round,
  { allowedSkewMs }: DeriveOptions,
): LastcallEvent[] {
  const skewMs = skew(after, round.clockAt);
  const skewed = Math.abs(skewMs) > allowedSkewMs;
  const was = before !== null && earlier !== null && Math.abs(skew(before, earlier.clockAt)) > allowedSkewMs;
  if (skewed === was) return [];
  const event = skewed ? 'clock-skew' : 'clock-right';
  return [lastcallEvent(event, after.site, { detail: { skewMs: Math.round(skewMs) } })];
}

const skew = (site: SiteObservation, clockAt: Micros): number =>
  site.bookkeeping ? (site.bookkeeping.clockAt - clockAt) / 1000 : 0;

function journal(before: Round | null, after: Round, site: string): LastcallEvent[] {
  const [was, is] = [before?.journalled ?? 0, after.journalled];
  if (is === null) return [];
  const inMemory = after.inMemory ?? 0;
  const worse = inMemory > 0 && (before?.inMemory ?? 0) === 0;
  if (is > 0 && (was === 0 || worse))
    return [lastcallEvent('journal-in-use', site, { detail: { records: is, inMemory } })];
  return was > 0 && is === 0 ? [lastcallEvent('journal-drained', site)] : [];
}
