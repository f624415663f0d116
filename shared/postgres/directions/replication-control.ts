import type { Queryable } from '../database.ts';

/** Stops (or lets go on) the direction from `peer` into the site whose database this is. The slot keeps its place. */
export async function setPaused(database: Queryable, peer: string, paused: boolean): Promise<void> {
  await database.query(
    `INSERT INTO lastcall.replication_control (peer, paused) VALUES ($1, $2)
     ON CONFLICT (peer) DO UPDATE SET paused = excluded.paused`,
    [peer, paused],
  );
}

/** Asks the replicator to copy `peer`'s tables anew. Asked twice it is one request with the newer date. */
export async function requestResync(database: Queryable, peer: string, reason: string): Promise<void> {
  await database.query(
    `INSERT INTO lastcall.replication_control (peer, resync_requested_at, resync_reason) VALUES ($1, clock_timestamp(), $2)
     ON CONFLICT (peer) DO UPDATE SET resync_requested_at = excluded.resync_requested_at, resync_reason = excluded.resync_reason`,
    [peer, reason],
  );
}
