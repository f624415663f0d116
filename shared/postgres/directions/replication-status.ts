import type { DirectionState, DirectionStatus, KindStatus } from '../../domain/direction-state.ts';
import { formatTimestamptz, type Micros } from '../../domain/micros.ts';
import type { Queryable } from '../database.ts';

interface StatusRow {
  readonly from: string;
  readonly to: string;
  readonly state: DirectionState | null;
  readonly reason: string | null;
  readonly lag_bytes: number | null;
  readonly lag_ms: number | null;
  readonly applied_lsn: string | null;
  readonly timeline: number | null;
  readonly slot_wal_status: string | null;
  readonly slot_retained_bytes: number | null;
  readonly slot_budget_bytes: number | null;
  readonly slot_eta_seconds: number | null;
  readonly rows_received: number | null;
  readonly rows_applied: number | null;
  readonly received_at: Micros | null;
  readonly updated_at: Micros | null;
  readonly age_ms: number | null;
  readonly paused: boolean;
  readonly fenced_by: string | null;
  readonly kinds: readonly KindStatus[];
}

/** A running replicator renews its status every second; after this long it is not running. */
const SILENT_AFTER_MS = 10_000;

const READ_DIRECTIONS = `
  SELECT sites.site AS "from", lastcall.this_site() AS "to", s.state, s.reason, s.lag_bytes, s.lag_ms,
    s.applied_lsn::text, s.timeline, s.slot_wal_status, s.slot_retained_bytes, s.slot_budget_bytes, s.slot_eta_seconds,
    s.rows_received, s.rows_applied, s.received_at, s.updated_at,
    extract(epoch FROM clock_timestamp() - s.updated_at)::float8 * 1000 AS age_ms,
    coalesce(c.paused, false) AS paused, c.fenced_by,
    (SELECT coalesce(json_agg(json_build_object('kind', k.kind, 'state', k.state, 'reason', k.reason,
        'detail', k.detail) ORDER BY k.kind), '[]')
      FROM lastcall.replication_kinds k
      WHERE k.peer = sites.site AND (k.state <> 'streaming' OR k.reason IS NOT NULL)) AS kinds
  FROM lastcall.sites
  LEFT JOIN lastcall.replication_status s ON s.peer = sites.site
  LEFT JOIN lastcall.replication_control c ON c.peer = sites.site
  WHERE NOT sites.own ORDER BY sites.site`;

/** Every direction into the site whose database this is. */
export async function readDirections(database: Queryable, budgetMs?: number): Promise<DirectionStatus[]> {
  const rows = await database.query<StatusRow>(READ_DIRECTIONS, [], budgetMs);
  return rows.map(toDirection);
}

/** What can be said of a direction whose subscriber does not answer. */
export function unreachableDirection(from: string, to: string): DirectionStatus {
  return {
    from,
    to,
    state: 'stopped',
    reason: 'peer-unreachable',
    lagBytes: null,
    lagMs: null,
    appliedLsn: null,
    timeline: null,
    slot: { walStatus: null, retainedBytes: null, budgetBytes: null, etaSeconds: null },
    rowsReceived: 0,
    rowsApplied: 0,
    receivedAt: null,
    updatedAt: null,
    paused: false,
    fencedBy: null,
    kinds: [],
  };
}

/** Dates as RFC 3339. */
export function directionJson(direction: DirectionStatus) {
  const text = (at: Micros | null) => (at === null ? null : formatTimestamptz(at));
  return {
    ...direction,
    kinds: [...direction.kinds],
    receivedAt: text(direction.receivedAt),
    updatedAt: text(direction.updatedAt),
  };
}

function toDirection(row: StatusRow): DirectionStatus {
  return {
    ...unreachableDirection(row.from, row.to),
    ...stateOf(row),
    lagBytes: row.lag_bytes,
    appliedLsn: row.applied_lsn,
    timeline: row.timeline,
    slot: {
      walStatus: row.slot_wal_status,
      retainedBytes: row.slot_retained_bytes,
      budgetBytes: row.slot_budget_bytes,
      etaSeconds: row.slot_eta_seconds,
    },
    rowsReceived: row.rows_received ?? 0,
    rowsApplied: row.rows_applied ?? 0,
    receivedAt: row.received_at,
    updatedAt: row.updated_at,
    paused: row.paused,
    fencedBy: row.fenced_by,
    kinds: row.kinds,
  };
}

/** A state that nobody renews is history: the lag has grown since by the age of the report. */
function stateOf(row: StatusRow): Pick<DirectionStatus, 'state' | 'reason' | 'lagMs'> {
  if (row.state === null || row.age_ms === null)
    return { state: 'stopped', reason: 'never-started', lagMs: null };
  if (row.age_ms < SILENT_AFTER_MS) return { state: row.state, reason: row.reason, lagMs: row.lag_ms };
  const lagMs = Math.round((row.lag_ms ?? 0) + row.age_ms);
  if (row.state === 'stopped' || row.state === 'needs-resync') {
    return { state: row.state, reason: row.reason ?? 'replicator-silent', lagMs };
  }
  return { state: 'stopped', reason: 'replicator-silent', lagMs };
}
