/**
 * The slots that other sites and targets hold at this one. A slot over budget is dropped on purpose, with its reason left
 * for the subscriber to read: a dead peer or target must never fill a healthy site's disk (rule 17).
 */

import { parseLsn } from '../../shared/domain/lsn.ts';
import { judgeSlot } from '../../shared/domain/slot-budget.ts';
import { TARGET_SLOT } from '../../shared/postgres/directions/targets.ts';
import { describeTransaction, oldestTransaction } from '../../shared/postgres/replication/old-transaction.ts';
import { dropSlot } from '../../shared/postgres/replication/slot-commands.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import type { ReplicatorLog } from './settings.ts';

export interface SlotGuardOptions {
  readonly budgetBytes: number;
  readonly log: ReplicatorLog;
}

/** Between a resynchronisation and its stream, or two connections, nobody holds the slot for a moment. */
const AT_WORK_MS = 10_000;

interface HeldSlot {
  readonly slot: string;
  readonly retainedBytes: string;
  readonly restart: string;
  readonly confirmed: string | null;
  readonly current: string;
  readonly busy: boolean;
}

export class SlotGuard {
  readonly #options: SlotGuardOptions;
  readonly #busyAtMs = new Map<string, number>();
  readonly #pinned = new Set<string>();

  constructor(options: SlotGuardOptions) {
    this.#options = options;
  }

  /** Looks once; returns the names of the slots that it dropped. */
  async look(connection: Connection): Promise<string[]> {
    const dropped: string[] = [];
    for (const held of await readHeldSlots(connection)) {
      const verdict = judgeSlot(
        {
          currentLsn: parseLsn(held.current),
          restartLsn: parseLsn(held.restart),
          confirmedLsn: held.confirmed === null ? null : parseLsn(held.confirmed),
          atWork: this.#isAtWork(held),
        },
        this.#options.budgetBytes,
      );
      if (verdict === 'over') {
        await this.#drop(connection, held);
        dropped.push(held.slot);
      }
      if (verdict === 'pinned') await this.#tellPinned(connection, held);
      else this.#pinned.delete(held.slot);
    }
    return dropped;
  }

  #isAtWork({ slot, busy }: HeldSlot): boolean {
    const nowMs = performance.now();
    if (busy) this.#busyAtMs.set(slot, nowMs);
    const busyAtMs = this.#busyAtMs.get(slot);
    return busyAtMs !== undefined && nowMs - busyAtMs < AT_WORK_MS;
  }

  async #drop(connection: Connection, { slot, retainedBytes }: HeldSlot): Promise<void> {
    const { budgetBytes, log } = this.#options;
    await connection.query(
      `INSERT INTO lastcall.replication_dropped_slot (slot, reason, retained_bytes) VALUES ($1, 'slot-over-budget', $2::bigint)
       ON CONFLICT (slot) DO UPDATE SET reason = excluded.reason, retained_bytes = excluded.retained_bytes, dropped_at = clock_timestamp()`,
      [slot, retainedBytes],
    );
    await dropSlot(connection, slot);
    log.error(
      { slot, retainedBytes: Number(retainedBytes), budgetBytes },
      'slot over budget dropped, its subscriber will resynchronise',
    );
  }

  /** Once, when it begins: the operator alone can end the session. */
  async #tellPinned(connection: Connection, { slot, retainedBytes }: HeldSlot): Promise<void> {
    if (this.#pinned.has(slot)) return;
    const transaction = await oldestTransaction(connection);
    if (!transaction) return;
    this.#pinned.add(slot);
    this.#options.log.error(
      { slot, retainedBytes: Number(retainedBytes), transaction: describeTransaction(transaction) },
      'an open transaction keeps more WAL than the slot budget',
    );
  }
}

/** A subscriber at work reads its slot, or copies on sessions that bear its name. */
async function readHeldSlots(connection: Connection): Promise<HeldSlot[]> {
  const { rows } = await connection.query(
    `SELECT slot_name, pg_current_wal_lsn()::text AS current, restart_lsn::text AS restart, confirmed_flush_lsn::text AS confirmed,
       (pg_current_wal_lsn() - restart_lsn)::bigint::text AS retained,
       active OR EXISTS (SELECT FROM pg_stat_activity WHERE application_name = session) AS busy
     FROM (
       SELECT ARRAY['lastcall_' || site, 'next_lastcall_' || site] AS slots, 'lastcall-resync-' || site AS session FROM lastcall.sites
       UNION ALL
       SELECT ARRAY['${TARGET_SLOT}' || target], 'lastcall-target-' || target FROM lastcall.targets) held
     JOIN pg_replication_slots ON slot_name = ANY (slots)
     WHERE database = current_database() AND restart_lsn IS NOT NULL`,
  );
  return rows.map((row) => ({
    slot: row['slot_name'] ?? '',
    retainedBytes: row['retained'] ?? '0',
    restart: row['restart'] ?? '0/0',
    confirmed: row['confirmed'] ?? null,
    current: row['current'] ?? '0/0',
    busy: row['busy'] === 't',
  }));
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
