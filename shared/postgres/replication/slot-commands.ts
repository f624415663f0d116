/** The walsender's own commands, and what `pg_replication_slots` tells of a slot. */
import { setTimeout as delay } from 'node:timers/promises';
import type { SlotView } from '../../domain/lineage.ts';
import { type Lsn, NO_LSN, parseLsn } from '../../domain/lsn.ts';
import { SQLSTATE } from '../sqlstate.ts';
import type { Connection } from '../wire/connection.ts';
import { quoteIdentifier, quoteLiteral } from '../wire/quoting.ts';
import { ServerError } from '../wire/server-error.ts';
import { OldTransaction, oldestTransaction } from './old-transaction.ts';

export interface SystemIdentity {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly flushLsn: Lsn;
}

/** On a replication connection. The timeline comes from here: `pg_control_checkpoint()` can still show the old one. */
export async function identifySystem(walsender: Connection): Promise<SystemIdentity> {
  const [result] = await walsender.simple('IDENTIFY_SYSTEM');
  const row = result?.rows[0];
  return {
    systemIdentifier: row?.['systemid'] ?? '',
    timeline: Number(row?.['timeline'] ?? 0),
    flushLsn: parseLsn(row?.['xlogpos'] ?? '0/0'),
  };
}

/** The history file's text; timeline 1 has none. */
export async function timelineHistory(walsender: Connection, timeline: number): Promise<string> {
  if (timeline <= 1) return '';
  const [result] = await walsender.simple(`TIMELINE_HISTORY ${timeline}`);
  return result?.rows[0]?.['content'] ?? '';
}

/** One advisory lock for making and dropping slots on a publisher (rule 16). */
const SLOT_LOCK = 0x6c63_736c;

export interface CreatedSlot {
  readonly consistentPoint: Lsn;
  /** Importable by SET TRANSACTION SNAPSHOT until the walsender's next command. */
  readonly snapshotName: string;
}

/** The slot that a resynchronisation fills its copies from; it becomes `slot` when they are ready. */
export const nextSlotName = (slot: string): string => `next_${slot}`;

/**
 * Makes the slot, dropping what is left of one of that name. Creation waits for every older transaction and
 * `statement_timeout` does not apply to it, hence the lock_timeout (rule 15): throws `OldTransaction`, naming the session,
 * when that passes. `locker` is another connection to the same server: the walsender's next command would end the
 * exported snapshot.
 */
export async function createSlot(
  { walsender, locker }: { walsender: Connection; locker: Connection },
  slot: string,
  lockTimeoutMs: number,
): Promise<CreatedSlot> {
  return underSlotLock(locker, async () => {
    await dropSlot(locker, slot);
    await walsender.simple(`SET lock_timeout = ${lockTimeoutMs}`);
    const failover = walsender.serverVersion >= 170_000 ? ', FAILOVER' : '';
    const command = `CREATE_REPLICATION_SLOT ${quoteIdentifier(slot)} LOGICAL pgoutput (SNAPSHOT 'export'${failover})`;
    const [result] = await walsender.simple(command).catch(async (cause: unknown) => {
      const waited = cause instanceof ServerError && cause.code === SQLSTATE.LOCK_NOT_AVAILABLE;
      throw waited ? new OldTransaction(await oldestTransaction(locker), { cause }) : cause;
    });
    return readCreatedSlot(result?.rows[0]);
  });
}

/**
 * Gives the name `slot` to what `nextSlotName(slot)` holds: a slot cannot be renamed, a copy of it begins where it began.
 * Ends the exported snapshot.
 */
export async function promoteNextSlot(
  { walsender, locker }: { walsender: Connection; locker: Connection },
  slot: string,
): Promise<void> {
  const next = nextSlotName(slot);
  await underSlotLock(locker, async () => {
    await dropSlot(locker, slot);
    await locker.simple(
      `SELECT pg_copy_logical_replication_slot(${quoteLiteral(next)}, ${quoteLiteral(slot)})`,
    );
    // A copy is no failover slot, whatever its original is.
    if (walsender.serverVersion >= 170_000) {
      await walsender.simple(`ALTER_REPLICATION_SLOT ${quoteIdentifier(slot)} (FAILOVER true)`);
    }
    await dropSlot(locker, next);
  });
}

async function underSlotLock<T>(locker: Connection, body: () => Promise<T>): Promise<T> {
  await locker.simple(`SELECT pg_advisory_lock(${SLOT_LOCK})`);
  try {
    return await body();
  } finally {
    await locker.simple(`SELECT pg_advisory_unlock(${SLOT_LOCK})`);
  }
}

/** A snapshot with the LSN from which its changes follow, by a slot that lasts no longer than the connection. */
export async function createSnapshot(
  walsender: Connection,
  slot: string,
  lockTimeoutMs: number,
): Promise<CreatedSlot> {
  await walsender.simple(`SET lock_timeout = ${lockTimeoutMs}`);
  const [result] = await walsender.simple(
    `CREATE_REPLICATION_SLOT ${quoteIdentifier(slot)} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')`,
  );
  return readCreatedSlot(result?.rows[0]);
}

function readCreatedSlot(row: Readonly<Record<string, string | null>> | undefined): CreatedSlot {
  return {
    consistentPoint: parseLsn(row?.['consistent_point'] ?? '0/0'),
    snapshotName: row?.['snapshot_name'] ?? '',
  };
}

/** A reader that cannot be ended from here leaves by itself within wal_sender_timeout at the latest. */
const RELEASE_DEADLINE_MS = 30_000;
const RELEASE_PAUSE_MS = 100;

/**
 * Ends the slot's reader and drops the slot. Does nothing when this database has none; another database's is not ours.
 * Throws `ServerError` 55006 when the reader stays.
 */
export async function dropSlot(connection: Connection, slot: string): Promise<void> {
  const name = quoteLiteral(slot);
  const deadline = performance.now() + RELEASE_DEADLINE_MS;
  for (;;) {
    const [found] = await connection.simple(
      `SELECT active_pid FROM pg_replication_slots WHERE slot_name = ${name} AND database = current_database()`,
    );
    const row = found?.rows[0];
    if (!row) return;
    try {
      if (row['active_pid']) await endReader(connection, row['active_pid']);
      await connection.simple(`SELECT pg_drop_replication_slot(${name})`);
      return;
    } catch (cause) {
      const stillRead = cause instanceof ServerError && cause.code === SQLSTATE.OBJECT_IN_USE;
      if (!stillRead || performance.now() > deadline) throw cause;
      await delay(RELEASE_PAUSE_MS);
    }
  }
}

/** Another role's reader may not be ended by us: then it is waited for. */
async function endReader(connection: Connection, pid: string): Promise<void> {
  try {
    await connection.simple(`SELECT pg_terminate_backend(${pid}, 2000)`);
  } catch (cause) {
    if (!(cause instanceof ServerError) || cause.code !== SQLSTATE.INSUFFICIENT_PRIVILEGE) throw cause;
  }
}

export interface SlotHealth extends SlotView {
  /** WAL held for this slot. */
  readonly retainedBytes: number;
  /** How much more may be written before the server invalidates it; `null` without a limit. */
  readonly safeWalBytes: number | null;
  readonly currentLsn: Lsn;
}

/** `null` when the slot is not there. `currentLsn` is read on a primary only. */
export async function readSlot(connection: Connection, slot: string): Promise<SlotHealth | null> {
  const version = connection.serverVersion;
  const [result] = await connection.simple(`
    SELECT wal_status, safe_wal_size, confirmed_flush_lsn, pg_current_wal_lsn() AS current_lsn,
      pg_current_wal_lsn() - coalesce(restart_lsn, pg_current_wal_lsn()) AS retained,
      ${version >= 170_000 ? 'invalidation_reason' : `CASE WHEN wal_status = 'lost' THEN 'wal_removed' END`} AS invalidation_reason,
      ${version >= 170_000 ? 'failover' : 'false'} AS failover
    FROM pg_replication_slots WHERE slot_name = ${quoteLiteral(slot)} AND database = current_database()`);
  const row = result?.rows[0];
  if (!row) return null;
  const confirmed = row['confirmed_flush_lsn'];
  return {
    walStatus: row['wal_status'] as SlotView['walStatus'],
    invalidationReason: row['invalidation_reason'] ?? null,
    confirmedFlushLsn: confirmed ? parseLsn(confirmed) : null,
    failover: row['failover'] === 't',
    retainedBytes: Number(row['retained'] ?? 0),
    safeWalBytes: row['safe_wal_size'] == null ? null : Number(row['safe_wal_size']),
    currentLsn: row['current_lsn'] ? parseLsn(row['current_lsn']) : NO_LSN,
  };
}
