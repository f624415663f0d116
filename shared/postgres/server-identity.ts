import pg from 'pg';
import type { ServerIdentity } from '../domain/server-identity.ts';

/** In hexadecimal; null in recovery. Unlike pg_control_checkpoint() right at once after a promotion. */
export const CURRENT_TIMELINE =
  'CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END';

const IDENTITY = `SELECT system_identifier::text AS "systemIdentifier", ${CURRENT_TIMELINE} AS timeline FROM pg_control_system()`;

/** A connection of its own that answers or fails within `timeoutMs`, also to a frozen server. The caller connects and ends it. */
export function shortLivedClient(url: string, timeoutMs: number): pg.Client {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: 'lastcall-watch',
  });
  client.on('error', () => {});
  return client;
}

/** Which server this is; null for one in recovery (rule 24). Throws what `pg` throws. */
export async function readIdentity(client: pg.Client): Promise<ServerIdentity | null> {
  const { rows } = await client.query<{ systemIdentifier: string; timeline: string | null }>(IDENTITY);
  const [row] = rows;
  if (row === undefined || row.timeline === null) return null;
  return { systemIdentifier: row.systemIdentifier, timeline: Number.parseInt(row.timeline, 16) };
}
