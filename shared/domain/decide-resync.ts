/**
 * What each direction between two sites needs after something happened to a database (replication rules 1, 3, 18, 25).
 *
 * Invariant: `stream` is answered only where the lineage proves that nothing lies between the stored position and what
 * the slot will send. `salvage` is true wherever the publisher may have lost rows that its subscriber still holds.
 */
import {
  type BeatFault,
  decideStream,
  LINEAGE_BROKE,
  MAY_HAVE_LOST_ROWS,
  type PublisherView,
  type ResyncReason,
  type SlotView,
  type StoredPosition,
} from './lineage.ts';
import type { Lsn } from './lsn.ts';

/** What one look at a site's database showed. */
export type SiteView =
  | { readonly site: string; readonly reachable: false; readonly reason: string }
  | ({ readonly site: string; readonly reachable: true } & SiteState);

export interface SiteState {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly inRecovery: boolean;
  /** The end of the site's own log. */
  readonly flushLsn: Lsn;
  /** Where each earlier timeline of this server ended. */
  readonly switchPoints: ReadonlyMap<number, Lsn>;
  /** By subscribing site. */
  readonly slots: ReadonlyMap<string, SlotView>;
  /** By subscribing site, where the last beat that it applied is none of this server's (rule 29). */
  readonly beatFaults?: ReadonlyMap<string, BeatFault>;
  /** By publishing site: where this site's copies stand. */
  readonly positions: ReadonlyMap<string, StoredPosition>;
  /** Publishing sites whose copy an operator asked to be made anew here. */
  readonly resyncRequested: ReadonlySet<string>;
  /** By publishing site: the failover that holds the direction into this site. */
  readonly fencedBy: ReadonlyMap<string, string>;
}

export type PairView = readonly [SiteView, SiteView];

export type DirectionDecision = {
  readonly from: string;
  readonly to: string;
} & (
  | { readonly action: 'stream' }
  | { readonly action: 'wait'; readonly reason: 'unreachable' | 'in-recovery'; readonly site: string }
  | {
      readonly action: 'resync';
      readonly reason: ResyncReason;
      readonly detail: string;
      readonly salvage: boolean;
    }
);

/** Both directions of a pair, in the order the sites are given. */
export function decideResync([a, b]: PairView): readonly [DirectionDecision, DirectionDecision] {
  return [decideDirection(a, b), decideDirection(b, a)];
}

/** The direction from publisher to subscriber. */
export function decideDirection(publisher: SiteView, subscriber: SiteView): DirectionDecision {
  const ends = { from: publisher.site, to: subscriber.site };
  for (const end of [publisher, subscriber]) {
    if (!end.reachable) return { ...ends, action: 'wait', reason: 'unreachable', site: end.site };
    if (end.inRecovery) return { ...ends, action: 'wait', reason: 'in-recovery', site: end.site };
  }
  if (!publisher.reachable || !subscriber.reachable)
    throw new TypeError('unreachable ends were answered above');
  const stored = subscriber.positions.get(publisher.site) ?? null;
  const decision = decideStream(stored, publisherView(publisher, subscriber.site));
  if (decision.action === 'resync') {
    // A resynchronisation stopped half way (position 0/0) no longer knows why it began.
    return { ...ends, ...decision, salvage: MAY_HAVE_LOST_ROWS.has(decision.reason) || stored?.lsn === 0n };
  }
  if (subscriber.resyncRequested.has(publisher.site)) {
    return { ...ends, action: 'resync', reason: 'operator', detail: 'asked for', salvage: false };
  }
  return { ...ends, action: 'stream' };
}

function publisherView(publisher: SiteState, subscriber: string): PublisherView {
  return {
    systemIdentifier: publisher.systemIdentifier,
    timeline: publisher.timeline,
    inRecovery: publisher.inRecovery,
    flushLsn: publisher.flushLsn,
    slot: publisher.slots.get(subscriber) ?? null,
    switchPoints: publisher.switchPoints,
    beatFault: publisher.beatFaults?.get(subscriber),
  };
}

/**
 * Why the pair needs a failover flow of `site`: its server changed under a copy of it; null when it did not. A missing slot
 * alone may have been dropped over its budget, and a copy without a position is being made anew right now: there the
 * replicator finds out whether rows would be lost, and says so.
 */
export function lineageBroken(site: string, decisions: readonly DirectionDecision[]): ResyncReason | null {
  const broken = decisions.find(
    (decision) =>
      decision.action === 'resync' && LINEAGE_BROKE.has(decision.reason) && decision.from === site,
  );
  return broken?.action === 'resync' ? broken.reason : null;
}
