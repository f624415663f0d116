import type { KindReason } from '../../shared/domain/decide-kinds.ts';
import type { DirectionState } from '../../shared/domain/direction-state.ts';
import type { ResyncReason } from '../../shared/domain/lineage.ts';
import { type Lsn, NO_LSN } from '../../shared/domain/lsn.ts';

/** Why a direction does not stream; the same word in the table, the API, logs and metrics. */
export type DirectionReason =
  | ResyncReason
  | KindReason
  | 'starting'
  | 'paused'
  | 'fenced'
  | 'shutdown'
  | 'in-recovery'
  | 'left-behind'
  | 'standby'
  | 'peer-unreachable'
  | 'database-unreachable'
  | 'authentication-failed'
  | 'protocol-refused'
  | 'ownership-lost'
  | 'position-moved'
  | 'slot-busy'
  | 'slot-name-taken'
  | 'old-transaction'
  | 'rows-only-here'
  | 'apply-failed';

/** What is known of one direction, from this worker's point of view. Written by its parts, read by status and metrics. */
export interface Direction {
  readonly from: string;
  readonly to: string;
  state: DirectionState;
  reason: DirectionReason | null;
  /** A sentence for the log and the operator; never matched. */
  detail: string | null;
  timeline: number | null;
  appliedLsn: Lsn;
  /** Of the publisher, as far as it is known here. */
  currentLsn: Lsn;
  rowsReceived: number;
  rowsApplied: number;
  /** `Date.now()` of the last message from the publisher; `null` before the first. */
  receivedAtMs: number | null;
  /** From the origin's last beat to its visibility here. */
  beatLagMs: number | null;
  beatAppliedAtMs: number | null;
  slotWalStatus: string | null;
  slotRetainedBytes: number | null;
  slotBudgetBytes: number | null;
  /** Until the budget is used up at the present rate; `null` when it is not filling. */
  slotEtaSeconds: number | null;
}

export function newDirection(from: string, to: string): Direction {
  return {
    from,
    to,
    state: 'stopped',
    reason: 'starting',
    detail: null,
    timeline: null,
    appliedLsn: NO_LSN,
    currentLsn: NO_LSN,
    rowsReceived: 0,
    rowsApplied: 0,
    receivedAtMs: null,
    beatLagMs: null,
    beatAppliedAtMs: null,
    slotWalStatus: null,
    slotRetainedBytes: null,
    slotBudgetBytes: null,
    slotEtaSeconds: null,
  };
}

/** End-to-end lag: the last beat's, and when beats stay away their absence as well (rule 11). */
export function lagMs(direction: Direction, nowMs: number, heartbeatMs: number): number | null {
  if (direction.beatLagMs === null || direction.beatAppliedAtMs === null) return null;
  const overdueMs = nowMs - direction.beatAppliedAtMs - 2 * heartbeatMs;
  return Math.max(0, direction.beatLagMs) + Math.max(0, overdueMs);
}
