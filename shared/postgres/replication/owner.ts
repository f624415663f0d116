import type { ResyncReason, StoredPosition } from '../../domain/lineage.ts';
import { parseLsn } from '../../domain/lsn.ts';
import { SQLSTATE } from '../sqlstate.ts';
import type { Connection } from '../wire/connection.ts';
import { quoteLiteral } from '../wire/quoting.ts';
import { ServerError } from '../wire/server-error.ts';
import type { TextResult } from '../wire/text-result.ts';

export interface Ownership {
  readonly epoch: bigint;
  /** Read after the epoch moved: an older worker's commit is either in it or will fail (rule 7). */
  readonly position: StoredPosition | null;
}

/** Makes `owner` the one worker of the direction from `peer`. Losing shows later, as SQLSTATE LC001 from an apply. */
export async function takeOwnership(connection: Connection, peer: string, owner: string): Promise<Ownership> {
  const taken = await connection.query(
    `INSERT INTO lastcall.replication_owner AS o (peer, owner, epoch) VALUES ($1, $2, 1)
     ON CONFLICT (peer) DO UPDATE SET owner = excluded.owner, epoch = o.epoch + 1, acquired_at = clock_timestamp(),
       pid = NULL, session_began = NULL, renewed_at = NULL
     RETURNING epoch`,
    [peer, owner],
  );
  return begin(connection, peer, taken);
}

/**
 * The same for a worker that will apply over `connection`. `fenced` while a failover holds the direction: whoever fences
 * takes it after, so it cannot be taken back. `standby` while another worker works on it.
 */
export async function takeOwnershipToApply(
  connection: Connection,
  peer: string,
  owner: string,
): Promise<Ownership | 'fenced' | 'standby'> {
  const taken = await connection.query(
    `INSERT INTO lastcall.replication_owner AS o (peer, owner, epoch, pid, session_began, renewed_at)
       SELECT $1, $2, 1, s.pid, s.backend_start, clock_timestamp() FROM pg_stat_get_activity(pg_backend_pid()) s
       WHERE NOT EXISTS (SELECT FROM lastcall.replication_control c WHERE c.peer = $1 AND c.fenced_by IS NOT NULL)
     ON CONFLICT (peer) DO UPDATE SET owner = excluded.owner, epoch = o.epoch + 1, acquired_at = clock_timestamp(),
       pid = excluded.pid, session_began = excluded.session_began, renewed_at = excluded.renewed_at
     WHERE o.owner = excluded.owner OR NOT lastcall.owner_works(o)
     RETURNING epoch`,
    [peer, owner],
  );
  if (taken.rowCount > 0) return begin(connection, peer, taken);
  const { rowCount } = await connection.query(
    'SELECT FROM lastcall.replication_control WHERE peer = $1 AND fenced_by IS NOT NULL',
    [peer],
  );
  return rowCount > 0 ? 'fenced' : 'standby';
}

/** Says each second that this process still works on what it owns. */
export async function renewOwnership(connection: Connection, owner: string): Promise<void> {
  await connection.query(
    'UPDATE lastcall.replication_owner SET renewed_at = clock_timestamp() WHERE owner = $1',
    [owner],
  );
}

async function begin(connection: Connection, peer: string, taken: TextResult): Promise<Ownership> {
  await waitForCommit(connection, peer);
  return { epoch: BigInt(taken.rows[0]?.['epoch'] ?? 0), position: await readPosition(connection, peer) };
}

/**
 * Waits for a commit in flight that passed the check before the epoch moved. A worker that was frozen or cut off in the
 * middle would hold it for hours: after a second its sessions are ended.
 */
async function waitForCommit(connection: Connection, peer: string): Promise<void> {
  const wait = (): Promise<unknown> =>
    connection.simple(`BEGIN; SET LOCAL lock_timeout = '1s';
      SELECT FROM lastcall.replication_position WHERE peer = ${quoteLiteral(peer)} FOR UPDATE; COMMIT`);
  try {
    await wait();
  } catch (cause) {
    await connection.simple('ROLLBACK');
    if (!(cause instanceof ServerError) || cause.code !== SQLSTATE.LOCK_NOT_AVAILABLE) throw cause;
    await connection.query('SELECT lastcall.end_workers($1)', [peer]);
    await wait();
  }
}

/** Also on a replication connection. */
export async function readPosition(connection: Connection, peer: string): Promise<StoredPosition | null> {
  const [result] = await connection.simple(
    `SELECT system_identifier, timeline, slot, generation, lsn, verdict FROM lastcall.replication_position WHERE peer = ${quoteLiteral(peer)}`,
  );
  const row = result?.rows[0];
  if (!row) return null;
  return {
    systemIdentifier: row['system_identifier'] ?? '',
    timeline: Number(row['timeline']),
    slot: row['slot'] ?? '',
    generation: BigInt(row['generation'] ?? 0),
    lsn: parseLsn(row['lsn'] ?? '0/0'),
    verdict: (row['verdict'] as ResyncReason | null | undefined) ?? null,
  };
}

/** The newest beat of the peer that its copy here has, as PostgreSQL writes it; `null` before the first. */
export async function readAppliedBeat(connection: Connection, peer: string): Promise<string | null> {
  const { rows } = await connection.query('SELECT beat_at FROM lastcall.heartbeat_by_site WHERE site = $1', [
    peer,
  ]);
  return rows[0]?.['beat_at'] ?? null;
}

/** Until the copy is made anew, which begins a new generation. */
export async function keepVerdict(
  connection: Connection,
  peer: string,
  generation: bigint,
  verdict: ResyncReason,
): Promise<void> {
  await connection.query(
    'UPDATE lastcall.replication_position SET verdict = $3 WHERE peer = $1 AND generation = $2::bigint AND verdict IS NULL',
    [peer, String(generation), verdict],
  );
}

/** The stream goes on upon a new timeline (rule 18): the position counts on it from here on. */
export async function moveToTimeline(
  connection: Connection,
  peer: string,
  position: StoredPosition,
  timeline: number,
): Promise<void> {
  await connection.query(
    'UPDATE lastcall.replication_position SET timeline = $3::integer WHERE peer = $1 AND generation = $2::bigint',
    [peer, String(position.generation), String(timeline)],
  );
}
