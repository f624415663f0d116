import { formatLsn, lagBytes } from '../../shared/domain/lsn.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import { type Direction, lagMs } from './direction.ts';

const WRITE = `INSERT INTO lastcall.replication_status AS s (peer, state, reason, lag_bytes, lag_ms, applied_lsn, timeline,
    slot_wal_status, slot_retained_bytes, slot_budget_bytes, slot_eta_seconds, rows_received, rows_applied, received_at, updated_at)
  SELECT peer, state, reason, lag_bytes, lag_ms, applied_lsn, timeline, slot_wal_status, slot_retained_bytes,
    slot_budget_bytes, slot_eta_seconds, rows_received, rows_applied, received_at, clock_timestamp()
  FROM json_populate_recordset(NULL::lastcall.replication_status, $1::json) JOIN lastcall.sites ON site = peer
  ON CONFLICT (peer) DO UPDATE SET (state, reason, lag_bytes, lag_ms, applied_lsn, timeline, slot_wal_status, slot_retained_bytes,
      slot_budget_bytes, slot_eta_seconds, rows_received, rows_applied, received_at, updated_at)
    = (excluded.state, excluded.reason, excluded.lag_bytes, excluded.lag_ms, excluded.applied_lsn, excluded.timeline,
      excluded.slot_wal_status, excluded.slot_retained_bytes, excluded.slot_budget_bytes, excluded.slot_eta_seconds,
      excluded.rows_received, excluded.rows_applied, excluded.received_at, excluded.updated_at)`;

/** One statement for all directions. The table is this worker's word to people; nothing here depends on it. */
export async function writeStatus(
  connection: Connection,
  directions: readonly Direction[],
  heartbeatMs: number,
): Promise<void> {
  // Whoever works on a direction speaks of it.
  const own = directions.filter(({ reason }) => reason !== 'standby');
  if (own.length > 0)
    await connection.query(WRITE, [JSON.stringify(own.map((d) => statusRow(d, heartbeatMs)))]);
}

export function statusRow(direction: Direction, heartbeatMs: number): Record<string, unknown> {
  return {
    peer: direction.from,
    state: direction.state,
    reason: direction.reason,
    lag_bytes: direction.currentLsn === 0n ? null : lagBytes(direction.currentLsn, direction.appliedLsn),
    lag_ms: lagMs(direction, Date.now(), heartbeatMs),
    applied_lsn: formatLsn(direction.appliedLsn),
    timeline: direction.timeline,
    slot_wal_status: direction.slotWalStatus,
    slot_retained_bytes: direction.slotRetainedBytes,
    slot_budget_bytes: direction.slotBudgetBytes,
    slot_eta_seconds: direction.slotEtaSeconds,
    rows_received: direction.rowsReceived,
    rows_applied: direction.rowsApplied,
    received_at: direction.receivedAtMs === null ? null : new Date(direction.receivedAtMs).toISOString(),
  };
}
