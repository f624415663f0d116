/** Which events lie between two rounds of observation. Pure. A coordinator speaks of what enters its own site. */
import type { Micros } from '../../../shared/domain/micros.ts';
import type { Observations, SiteObservation } from '../observe.ts';
import { type LastcallEvent, lastcallEvent } from './event.ts';

export interface Round {
  readonly seen: Observations;
  /** This process's clock at the time of the looks. */
  readonly clockAt: Micros;
  /** Records that wait in the journal; null while nobody knows. */
  readonly journalled: number | null;
}

export interface DeriveOptions {
  readonly home: string;
  readonly allowedSkewMs: number;
}

const RUNNING = new Set(['streaming', 'catching-up']);
const SLOT_SHARE = 0.5;

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
  if (primaries(after) > 1 && primaries(before) <= 1) {
    const hosts = after.hosts.filter(({ state }) => state === 'primary').map(({ host }) => host);
    events.push(lastcallEvent('two-primaries', site, { detail: { hosts: hosts.join(', ') } }));
  }
  return events;
}

const primaries = (site: SiteObservation | null): number =>
  site?.hosts.filter(({ state }) => state === 'primary').length ?? 0;

function directions(before: SiteObservation | null, after: SiteObservation): LastcallEvent[] {
  if (!after.bookkeeping) return [];
  const earlier = new Map((before?.bookkeeping?.statuses ?? []).map((status) => [status.peer, status]));
  return after.bookkeeping.statuses.flatMap(({ peer, state, reason }) => {
    const was = earlier.get(peer)?.state ?? null;
    const ends = { from: peer, to: after.site, reason };
    if (was === state) return [];
    if (state === 'needs-resync') return [lastcallEvent('needs-resync', after.site, ends)];
    if (RUNNING.has(state))
      return was !== null && RUNNING.has(was) ? [] : [lastcallEvent('replication-started', after.site, ends)];
    // A resynchronisation under way is told as its begin and end, not as a standstill.
    return state === 'stopped' && was !== null
      ? [lastcallEvent('replication-stopped', after.site, ends)]
      : [];
  });
}

/** Half of what a slot may hold is used: time left to mend the peer before its direction must be made anew. */
function slots(before: SiteObservation | null, after: SiteObservation): LastcallEvent[] {
  return [...after.slots].flatMap(([subscriber, slot]) => {
    const share = usedShare(slot);
    if (share < SLOT_SHARE || usedShare(before?.slots.get(subscriber)) >= SLOT_SHARE) return [];
    const detail = { retainedBytes: slot.retainedBytes, usedPercent: Math.round(share * 100) };
    return [lastcallEvent('slot-budget', after.site, { from: after.site, to: subscriber, detail })];
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
  return skewed && !was
    ? [lastcallEvent('clock-skew', after.site, { detail: { skewMs: Math.round(skewMs) } })]
    : [];
}

const skew = (site: SiteObservation, clockAt: Micros): number =>
  site.bookkeeping ? (site.bookkeeping.clockAt - clockAt) / 1000 : 0;

function journal(before: Round | null, after: Round, site: string): LastcallEvent[] {
  const [was, is] = [before?.journalled ?? 0, after.journalled];
  if (is === null) return [];
  if (was === 0 && is > 0) return [lastcallEvent('journal-in-use', site, { detail: { records: is } })];
  return was > 0 && is === 0 ? [lastcallEvent('journal-drained', site)] : [];
}
