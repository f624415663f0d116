import { type Lsn, parseLsn } from '../../domain/lsn.ts';
import type { Queryable } from '../database.ts';

/** How far this site's writes have come. */
export interface PeersPosition {
  /** Behind everything that was committed before it was asked. */
  readonly written: Lsn;
  /** Up to where every peer holds them; null while one does not stream. */
  readonly held: Lsn | null;
  readonly peers: number;
}

/**
 * A slot's confirmed position is what its peer applied durably (replication rule 5), but only while it streams: during a
 * resync a new slot stands where the copy began.
 */
const READ = `
  SELECT pg_current_wal_insert_lsn()::text AS written, count(p.site)::int AS peers,
    CASE WHEN bool_and(s.confirmed IS NOT NULL) THEN min(s.confirmed)::text END AS held
  FROM lastcall.sites p LEFT JOIN LATERAL (
    SELECT max(confirmed_flush_lsn) AS confirmed FROM pg_replication_slots
    WHERE database = current_database() AND active
      AND slot_name = 'lastcall_' || p.site) s ON true
  WHERE NOT p.own`;

/** Throws `LastcallError`. */
export async function readPeersPosition(database: Queryable, budgetMs: number): Promise<PeersPosition> {
  const [row] = await database.query<{ written: string; peers: number; held: string | null }>(
    READ,
    [],
    budgetMs,
  );
  const { written, peers, held } = row as NonNullable<typeof row>;
  return { written: parseLsn(written), peers, held: held === null ? null : parseLsn(held) };
}
