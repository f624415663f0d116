/**
 * Whether a stored position may be streamed from (replication rules 1 to 3 and 18).
 *
 * Invariant: `stream` is answered only when every transaction after the stored position is still to come from this
 * slot. Anything less certain is a resync: the tables hold one row a terminal, so a resync is cheap and a gap is not.
 */
import { formatLsn, type Lsn } from './lsn.ts';

/** What the subscriber saved in the transaction that applied its last batch. */
export interface StoredPosition {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly slot: string;
  readonly generation: bigint;
  readonly lsn: Lsn;
  /** What was found wrong before; kept until the copy is made anew. */
  readonly verdict?: ResyncReason | null;
}

/** What the publisher said: IDENTIFY_SYSTEM for the identity (`pg_control_checkpoint()` can lag), `pg_replication_slots` for the slot. */
export interface PublisherView {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly inRecovery: boolean;
  /** The end of the publisher's log. */
  readonly flushLsn: Lsn;
  readonly slot: SlotView | null;
  /** The last beat that the copy applied is none of the publisher's own (rule 29). */
  readonly beatFault?: BeatFault | null | undefined;
  /** Why the publisher's own site dropped the slot on purpose, when it did (rule 17). */
  readonly droppedBecause?: ResyncReason | undefined;
  /** Where each earlier timeline of this publisher ended (TIMELINE_HISTORY). Needed only when the timeline changed. */
  readonly switchPoints?: ReadonlyMap<number, Lsn> | undefined;
}

/** `rolled-back`: the publisher never wrote that beat. `history-expired`: it may have, but no longer knows. */
export type BeatFault = 'rolled-back' | 'history-expired';

export interface SlotView {
  readonly walStatus: 'reserved' | 'extended' | 'unreserved' | 'lost' | null;
  readonly invalidationReason: string | null;
  readonly confirmedFlushLsn: Lsn | null;
  /**
   * A failover slot (PostgreSQL 17 and later). Found on a new timeline it came there by synchronisation: one made after
   * the switch would stand beyond every earlier position, which the gap check sees.
   */
  readonly failover: boolean;
}

/** One word for each cause, the same in API, CLI, logs and metrics. */
export type ResyncReason =
  | 'never-synchronised'
  | 'system-changed'
  | 'timeline-changed'
  | 'position-ahead'
  | BeatFault
  | 'slot-missing'
  | 'slot-lost'
  | 'slot-over-budget'
  | 'gap'
  | 'operator';

export type StreamDecision =
  | { readonly action: 'stream'; readonly from: Lsn }
  | { readonly action: 'wait'; readonly reason: 'in-recovery' }
  | { readonly action: 'resync'; readonly reason: ResyncReason; readonly detail: string };

/** The causes that say the publisher is not the server whose rows were copied. */
export const LINEAGE_BROKE: ReadonlySet<ResyncReason> = new Set([
  'timeline-changed',
  'system-changed',
  'position-ahead',
  'rolled-back',
]);

/** Those that a look at the publisher's log alone would no longer show once it has grown. */
export const KEPT_VERDICTS: ReadonlySet<ResyncReason> = new Set(['position-ahead', 'rolled-back']);

/**
 * The causes after which a copy may hold rows that the publisher has lost (rule 21). A slot is missing unannounced also
 * when its server was restored: a base backup brings none.
 */
export const MAY_HAVE_LOST_ROWS: ReadonlySet<ResyncReason> = new Set([
  ...LINEAGE_BROKE,
  'history-expired',
  'slot-missing',
]);

const resync = (reason: ResyncReason, detail: string): StreamDecision => ({
  action: 'resync',
  reason,
  detail,
});

export function decideStream(stored: StoredPosition | null, publisher: PublisherView): StreamDecision {
  if (publisher.inRecovery) return { action: 'wait', reason: 'in-recovery' };
  if (!stored || stored.lsn === 0n) return resync('never-synchronised', 'no position is stored');
  if (stored.systemIdentifier !== publisher.systemIdentifier) {
    return resync(
      'system-changed',
      `position is of ${stored.systemIdentifier}, the peer is ${publisher.systemIdentifier}`,
    );
  }
  if (stored.verdict) return resync(stored.verdict, 'found before, and not healed since');
  const timelineFault = checkTimeline(stored, publisher);
  if (timelineFault) return timelineFault;
  // A server put back from a backup or a file copy keeps its timeline, but its log ends before what was read from it.
  if (stored.lsn > publisher.flushLsn) {
    const detail = `position is ${formatLsn(stored.lsn)}, the log ends at ${formatLsn(publisher.flushLsn)}`;
    return resync('position-ahead', detail);
  }
  if (publisher.beatFault) {
    return resync(
      publisher.beatFault,
      'the last beat that was applied here is not in the history of the peer',
    );
  }
  const slot = publisher.slot;
  if (!slot) return resync(publisher.droppedBecause ?? 'slot-missing', `slot ${stored.slot} is not there`);
  if (slot.walStatus === 'lost' || slot.invalidationReason) {
    return resync('slot-lost', slot.invalidationReason ?? 'wal_status is lost');
  }
  // Acknowledgements never pass the stored position (an idle keepalive is stored first), so beyond means a gap.
  if (slot.confirmedFlushLsn === null || slot.confirmedFlushLsn > stored.lsn) {
    const at = slot.confirmedFlushLsn === null ? 'nothing' : formatLsn(slot.confirmedFlushLsn);
    return resync('gap', `slot stands at ${at}, position at ${formatLsn(stored.lsn)}`);
  }
  return { action: 'stream', from: stored.lsn };
}

/** A new timeline keeps the position only when the slot came over synchronised and the position lies before the switch (rule 18). */
function checkTimeline(stored: StoredPosition, publisher: PublisherView): StreamDecision | null {
  if (stored.timeline === publisher.timeline) return null;
  const moved = `timeline ${stored.timeline} became ${publisher.timeline}`;
  if (publisher.timeline < stored.timeline) return resync('timeline-changed', moved);
  const switchPoint = publisher.switchPoints?.get(stored.timeline);
  if (switchPoint === undefined)
    return resync('timeline-changed', `${moved}, and its history does not name the old one`);
  if (stored.lsn > switchPoint) {
    return resync(
      'position-ahead',
      `${moved} at ${formatLsn(switchPoint)}, position is ${formatLsn(stored.lsn)}`,
    );
  }
  if (!publisher.slot?.failover)
    return resync('timeline-changed', `${moved}, and the slot is no synchronised failover slot`);
  return null;
}

/**
 * Whether a copy holds nothing that its promoted publisher lacks: all that was ever read into it (`read`, snapshots
 * included) lies before the end of the timeline it was read from, in the publisher's own history.
 */
export function isContained(
  stored: StoredPosition,
  read: Lsn,
  publisher: Pick<PublisherView, 'systemIdentifier' | 'timeline' | 'switchPoints' | 'beatFault'>,
): boolean {
  if (stored.lsn === 0n || stored.verdict || publisher.beatFault) return false;
  if (stored.systemIdentifier !== publisher.systemIdentifier || stored.timeline >= publisher.timeline)
    return false;
  const switchPoint = publisher.switchPoints?.get(stored.timeline);
  return switchPoint !== undefined && stored.lsn <= switchPoint && read <= switchPoint;
}

const SWITCH = /^\s*(\d+)\s+([0-9A-Fa-f]+)\/([0-9A-Fa-f]+)/;

/** Reads the content of a timeline history file: timeline and the LSN where it ended, one a line. */
export function parseTimelineHistory(content: string): Map<number, Lsn> {
  const ends = new Map<number, Lsn>();
  for (const line of content.split('\n')) {
    const m = SWITCH.exec(line);
    if (m) ends.set(Number(m[1]), ((BigInt(`0x${m[2]}`) << 32n) | BigInt(`0x${m[3]}`)) as Lsn);
  }
  return ends;
}
