import pg from 'pg';
import type { ServerIdentity } from '../domain/server-identity.ts';
import { clientUrl } from './client-url.ts';

/** In hexadecimal; null in recovery. Unlike pg_control_checkpoint() right at once after a promotion. */
export const CURRENT_TIMELINE =
  'CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END';

/** Read by {@link identityFrom}. */
export const IDENTITY = `SELECT system_identifier::text AS system_identifier, ${CURRENT_TIMELINE} AS timeline FROM pg_control_system()`;

/** A connection of its own that answers or fails within `timeoutMs`, also to a frozen server. The caller connects and ends it. */
export function shortLivedClient(url: string, timeoutMs: number): pg.Client {
  const client = new pg.Client({
    connectionString: clientUrl(url),
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: 'lastcall-watch',
  });
  client.on('error', () => {});
  return client;
}

/** Which server this is; null for one in recovery (rule 24). Throws what `pg` throws. */
export async function readIdentity(client: pg.Client): Promise<ServerIdentity | null> {
  const { rows } = await client.query<Record<string, string | null>>(IDENTITY);
  return identityFrom(rows[0]);
}

export function identityFrom(
  row: Readonly<Record<string, string | null>> | undefined,
): ServerIdentity | null {
  const { system_identifier: systemIdentifier = null, timeline = null } = row ?? {};
  if (systemIdentifier === null || timeline === null) return null;
  return { systemIdentifier, timeline: Number.parseInt(timeline, 16) };
}
