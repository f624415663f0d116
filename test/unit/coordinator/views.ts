import type { Observations, SiteObservation } from '../../../services/coordinator/observe.ts';
import type { SlotState } from '../../../services/coordinator/site-state.ts';
import type { SiteState, SiteView } from '../../../shared/domain/decide-resync.ts';
import type { SlotView, StoredPosition } from '../../../shared/domain/lineage.ts';
import { type Lsn, parseLsn } from '../../../shared/domain/lsn.ts';
import { micros } from '../../../shared/domain/micros.ts';

export const at = (text: string): Lsn => parseLsn(text);

/** A position of the copies of `peer`, on timeline 1 of system `sys-<peer>`. */
export const position = (
  peer: string,
  subscriber: string,
  lsn: string,
  changes: Partial<StoredPosition> = {},
): StoredPosition => ({
  systemIdentifier: `sys-${peer}`,
  timeline: 1,
  slot: `lastcall_${subscriber}`,
  generation: 1n,
  lsn: at(lsn),
  ...changes,
});

export const slot = (confirmed: string, changes: Partial<SlotState> = {}): SlotState => ({
  walStatus: 'reserved',
  invalidationReason: null,
  confirmedFlushLsn: at(confirmed),
  failover: false,
  retainedBytes: 0,
  safeWalBytes: null,
  ...changes,
});

type Reachable = Extract<SiteView, { reachable: true }>;

/** A site whose one peer streams well: slot at 0/100, position at 0/200, log to 0/300. */
export function siteView(site: string, peer: string, changes: Partial<SiteState> = {}): Reachable {
  return {
    site,
    reachable: true,
    systemIdentifier: `sys-${site}`,
    timeline: 1,
    inRecovery: false,
    flushLsn: at('0/300'),
    switchPoints: new Map(),
    slots: new Map<string, SlotView>([[peer, slot('0/100')]]),
    positions: new Map([[peer, position(peer, site, '0/200')]]),
    resyncRequested: new Set(),
    fencedBy: new Map(),
    ...changes,
  };
}

/** What a round saw of a site. */
export function observation(view: SiteView, changes: Partial<SiteObservation> = {}): SiteObservation {
  return {
    site: view.site,
    hosts: [{ host: `${view.site}:5432`, state: view.reachable ? 'primary' : 'unreachable' }],
    formerPrimaries: [],
    view,
    primaryUrl: view.reachable ? `postgres://${view.site}` : null,
    slots: new Map(),
    bookkeeping: view.reachable
      ? {
          clockAt: micros(0),
          positions: view.positions,
          resyncRequested: view.resyncRequested,
          fencedBy: view.fencedBy,
          paused: new Set(),
          statuses: [],
          heartbeats: new Map(),
          flow: null,
          runningFailovers: [],
          recentSuccesses: [],
          recentFailures: [],
        }
      : null,
    ...changes,
  };
}

export const observations = (...sites: SiteObservation[]): Observations =>
  new Map(sites.map((site) => [site.site, site]));
