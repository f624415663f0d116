/**
 * The slots that other sites hold at this one. A slot over budget is dropped on purpose, with its reason left for the
 * subscriber to read: a dead peer must never fill a healthy site's disk (rule 17).
 */

import { dropSlot } from '../../shared/postgres/replication/slot-commands.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import type { ReplicatorLog } from './settings.ts';

export interface SlotGuardOptions {
  readonly connection: Connection;
  readonly budgetBytes: number;
  readonly log: ReplicatorLog;
}

/** Returns the names of the slots that it dropped. */
export async function dropSlotsOverBudget({
  connection,
  budgetBytes,
  log,
}: SlotGuardOptions): Promise<string[]> {
  const { rows } = await connection.query(
    `SELECT slot_name, pg_current_wal_lsn() - restart_lsn AS retained FROM pg_replication_slots
     WHERE database = current_database() AND slot_name IN (SELECT 'lastcall_' || site FROM lastcall.sites)
       AND restart_lsn IS NOT NULL AND pg_current_wal_lsn() - restart_lsn > $1::numeric`,
    [String(budgetBytes)],
  );
  const dropped: string[] = [];
  for (const row of rows) {
    const slot = row['slot_name'] ?? '';
    await connection.query(
      `INSERT INTO lastcall.replication_dropped_slot (slot, reason, retained_bytes) VALUES ($1, 'slot-over-budget', $2::bigint)
       ON CONFLICT (slot) DO UPDATE SET reason = excluded.reason, retained_bytes = excluded.retained_bytes, dropped_at = clock_timestamp()`,
      [slot, row['retained'] ?? '0'],
    );
    await dropSlot(connection, slot);
    log.error(
      { slot, retainedBytes: Number(row['retained']), budgetBytes },
      'slot over budget dropped, its subscriber will resynchronise',
    );
    dropped.push(slot);
  }
  return dropped;
}

/** The server's own limit must lie above the budget, or it invalidates slots before they can be dropped with a reason. */
export async function checkServerLimits(
  connection: Connection,
  budgetBytes: number,
  log: ReplicatorLog,
): Promise<void> {
  const { rows } = await connection.query(
    `SELECT name, setting::bigint * CASE unit WHEN 'MB' THEN 1048576 ELSE 1 END AS value, setting FROM pg_settings
     WHERE name IN ('max_slot_wal_keep_size', 'max_replication_slots')
     UNION ALL SELECT name, NULL, setting FROM pg_settings WHERE name = 'wal_level'`,
  );
  const settings = new Map(rows.map((row) => [row['name'], row]));
  if (settings.get('wal_level')?.['setting'] !== 'logical') {
    log.error(
      { remedy: 'set wal_level = logical and restart PostgreSQL' },
      'peers cannot replicate from this site',
    );
  }
  const keep = settings.get('max_slot_wal_keep_size');
  if (keep?.['setting'] === '-1') {
    log.warn(
      { budgetBytes, remedy: 'set max_slot_wal_keep_size above the slot budget' },
      'nothing but this process bounds retained WAL',
    );
  } else if (Number(keep?.['value'] ?? 0) < budgetBytes) {
    log.warn(
      { budgetBytes, keepBytes: Number(keep?.['value']) },
      'max_slot_wal_keep_size lies below the slot budget',
    );
  }
}
