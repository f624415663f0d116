/** When a changed database needs a failover that nobody asked for. Pure: observations and time in, requests out. */
import { decideResync, lineageBroken } from '../../shared/domain/decide-resync.ts';
import type { Observations, SiteObservation } from './observe.ts';

export interface DetectedFailover {
  readonly site: string;
  readonly reason: 'timeline-changed' | 'rolled-back' | 'rows-only-here' | 'fence-left';
}

/** What was first seen when, by site and lineage. */
export type Sightings = ReadonlyMap<string, number>;

export interface Detection {
  readonly sightings: Sightings;
  readonly requests: readonly DetectedFailover[];
}

export interface DetectorOptions {
  /** The site whose coordinator this is. */
  readonly home: string;
  readonly nowMs: number;
  readonly settleMs: number;
}

/**
 * A change counts when it has stood for `settleMs`. The site's own coordinator acts first, of a promotion sooner still;
 * another one waits longer for each place it stands behind, so that one event makes one failover. Whatever is under way
 * anywhere is left alone.
 */
export function detectFailovers(seen: Observations, before: Sightings, options: DetectorOptions): Detection {
  const sightings = new Map<string, number>();
  const requests: DetectedFailover[] = [];
  for (const site of seen.values()) {
    const reason = need(site, seen);
    if (!reason || !site.view.reachable) continue;
    const key = `${site.site} ${reason} ${site.view.systemIdentifier}/${site.view.timeline}`;
    const sinceMs = before.get(key) ?? options.nowMs;
    sightings.set(key, sinceMs);
    const waitMs =
      reason === 'timeline-changed' && site.site === options.home
        ? promotionPatienceMs(options)
        : patienceMs(site.site, seen, options);
    if (options.nowMs - sinceMs >= waitMs) requests.push({ site: site.site, reason });
  }
  return { sightings, requests };
}

function need(site: SiteObservation, seen: Observations): DetectedFailover['reason'] | null {
  const { view } = site;
  if (!view.reachable || underWay(site.site, seen) || failedLately(site.site, view.timeline, seen))
    return null;
  for (const other of seen.values()) {
    if (other.site === site.site || !other.view.reachable) continue;
    const broken = lineageBroken(site.site, decideResync([view, other.view]));
    if (broken !== null) return broken === 'rolled-back' ? 'rolled-back' : 'timeline-changed';
    // The replicator found them when no coordinator was there in time, and waits.
    const status = other.bookkeeping?.statuses.find(({ peer }) => peer === site.site);
    if (status?.state === 'needs-resync' && status.reason === 'rows-only-here') return 'rows-only-here';
    const fencedBy = other.view.fencedBy.get(site.site);
    if (fencedBy !== undefined && !isRunning(fencedBy, seen)) return 'fence-left';
  }
  return null;
}

function underWay(site: string, seen: Observations): boolean {
  return [...seen.values()].some(({ bookkeeping }) =>
    bookkeeping?.runningFailovers.some((failover) => failover.site === site),
  );
}

function failedLately(site: string, timeline: number, seen: Observations): boolean {
  return [...seen.values()].some(({ bookkeeping }) =>
    bookkeeping?.recentFailures.some((failure) => failure.site === site && failure.timeline === timeline),
  );
}

/** A site that cannot be asked may be the one that runs it. */
function isRunning(failover: string, seen: Observations): boolean {
  return [...seen.values()].some(
    ({ bookkeeping }) =>
      bookkeeping === null || bookkeeping.runningFailovers.some(({ id }) => id === failover),
  );
}

/** A promotion at its own site is never taken back: a coordinator only lets the hook that tells of it come first. */
export const promotionPatienceMs = ({ settleMs }: Pick<DetectorOptions, 'settleMs'>): number => settleMs / 4;

/** How long a coordinator lets what concerns a site stand before it acts: the site's own first, then one after the other. */
export function patienceMs(
  site: string,
  seen: Observations,
  { home, settleMs }: Pick<DetectorOptions, 'home' | 'settleMs'>,
): number {
  return settleMs * (1 + 2 * rank(site, home, seen));
}

function rank(site: string, home: string, seen: Observations): number {
  if (site === home) return 0;
  return (
    1 +
    [...seen.keys()]
      .filter((other) => other !== site)
      .sort()
      .indexOf(home)
  );
}
