/** Targets in this site's catalog: their definitions, their slots, and what the replicator says of them. */
import type { DirectionState } from '../../domain/direction-state.ts';
import { formatTimestamptz, type Micros } from '../../domain/micros.ts';
import type { Queryable } from '../database.ts';
import { dropSlot } from '../replication/slot-commands.ts';
import type { Connection } from '../wire/connection.ts';

/** Two underscores, which no site's name can begin with. */
export const TARGETS_PUBLICATION = 'lastcall__targets';
export const TARGET_SLOT = 'lastcall__';
export const targetSlotName = (target: string): string => TARGET_SLOT + target;

export interface StoredTarget {
  readonly target: string;
  readonly url: string;
  readonly kinds: readonly string[];
  readonly sites: readonly string[];
  /** By kind: its tables, and those of its marks and of what it follows; differs when one was replaced or changed. */
  readonly sources: Readonly<Record<string, string>>;
  readonly resyncRequestedAt: string | null;
}

const READ = `
  SELECT coalesce(json_agg(json_build_object(
    'target', t.target,
    'url', t.url,
    'kinds', t.kinds,
    'sites', (SELECT json_agg(site ORDER BY site) FROM lastcall.sites),
    'sources', (
      SELECT json_object_agg(k.kind, k.epoch || '/' || (
        SELECT string_agg(r.prrelid::text, ',' ORDER BY r.prrelid)
        FROM lastcall.sites s
          CROSS JOIN unnest(ARRAY[k.kind, 'marks', k.follows]) AS part (kind)
          JOIN pg_publication_rel r ON r.prrelid = to_regclass(format('lastcall.%I', part.kind || '_' || s.site))
          JOIN pg_publication p ON p.oid = r.prpubid AND p.pubname = '${TARGETS_PUBLICATION}'))
      FROM lastcall.kinds k WHERE k.kind = ANY (t.kinds)),
    'resyncRequestedAt', t.resync_requested_at::text) ORDER BY t.target), '[]')::text AS targets
  FROM lastcall.targets t`;

/** As the replicator, which may read the URLs. */
export async function readTargetDefinitions(connection: Connection): Promise<StoredTarget[]> {
  const [result] = await connection.simple(READ);
  return JSON.parse(result?.rows[0]?.['targets'] ?? '[]') as StoredTarget[];
}

/** What a removed target leaves: it would keep WAL for nobody. */
export async function dropSlotsOfNoTarget(connection: Connection): Promise<void> {
  const [result] = await connection.simple(
    `SELECT slot_name FROM pg_replication_slots
     WHERE starts_with(slot_name, '${TARGET_SLOT}') AND database = current_database() AND NOT active
       AND substr(slot_name, ${TARGET_SLOT.length + 1}) NOT IN (SELECT target FROM lastcall.targets)`,
  );
  for (const row of result?.rows ?? []) await dropSlot(connection, row['slot_name'] ?? '');
}

/** $1: a JSON array of rows of `target_status`. */
export const WRITE_TARGET_STATUS = `
  INSERT INTO lastcall.target_status AS s (target, state, reason, detail, lag_ms, applied_lsn, rows_received, rows_applied)
  SELECT target, n.state, n.reason, n.detail, n.lag_ms, n.applied_lsn, n.rows_received, n.rows_applied
  FROM json_populate_recordset(NULL::lastcall.target_status, $1::json) n JOIN lastcall.targets USING (target)
  ON CONFLICT (target) DO UPDATE SET state = excluded.state, reason = excluded.reason, detail = excluded.detail,
    lag_ms = excluded.lag_ms, applied_lsn = excluded.applied_lsn, rows_received = excluded.rows_received,
    rows_applied = excluded.rows_applied, updated_at = clock_timestamp()`;

export interface TargetStatus {
  readonly target: string;
  readonly kinds: readonly string[];
  readonly state: DirectionState;
  readonly reason: string | null;
  readonly detail: string | null;
  readonly lagMs: number | null;
  readonly appliedLsn: string | null;
  readonly rowsReceived: number;
  readonly rowsApplied: number;
  /** RFC 3339; null before the replicator has said anything. */
  readonly updatedAt: string | null;
}

/** A running replicator renews a status every second; after this long it is not running. */
const SILENT_AFTER = '10 seconds';

/** Every target that this site feeds, without its URL. */
export async function readTargets(database: Queryable, budgetMs?: number): Promise<TargetStatus[]> {
  const rows = await database.query<Omit<TargetStatus, 'updatedAt'> & { readonly updatedAt: Micros | null }>(
    `SELECT t.target, t.kinds,
       CASE WHEN s.updated_at > clock_timestamp() - interval '${SILENT_AFTER}' THEN s.state ELSE 'stopped' END AS state,
       CASE WHEN s.target IS NULL THEN 'never-started'
         WHEN s.updated_at > clock_timestamp() - interval '${SILENT_AFTER}' THEN s.reason
         ELSE 'replicator-silent' END AS reason,
       s.detail, s.lag_ms AS "lagMs", s.applied_lsn::text AS "appliedLsn",
       coalesce(s.rows_received, 0) AS "rowsReceived", coalesce(s.rows_applied, 0) AS "rowsApplied",
       s.updated_at AS "updatedAt"
     FROM (SELECT target, kinds FROM lastcall.targets) t LEFT JOIN lastcall.target_status s USING (target)
     ORDER BY t.target`,
    [],
    budgetMs,
  );
  return rows.map((row) => ({
    ...row,
    updatedAt: row.updatedAt === null ? null : formatTimestamptz(row.updatedAt),
  }));
}
