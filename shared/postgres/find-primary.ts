import pg from 'pg';
import { LastcallError } from '../domain/errors.ts';
import { newestPrimary } from './newest-primary.ts';
import { translatePostgresError } from './postgres-error.ts';
import { parsePostgresUrl } from './postgres-url.ts';

/** In hexadecimal; null in recovery. Unlike pg_control_checkpoint() right at once after a promotion. */
export const CURRENT_TIMELINE =
  'CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END';

/** One single-host URL for each host of a URL, in the order given. */
export function hostUrls(url: string): string[] {
  const parsed = parsePostgresUrl(url);
  const encode = encodeURIComponent;
  const query = new URLSearchParams([...parsed.parameters]).toString();
  return parsed.hosts.map(({ host, port }) => {
    const name = host.includes(':') ? `[${host}]` : host;
    const login = `${encode(parsed.user)}:${encode(parsed.password)}`;
    return `postgres://${login}@${name}:${port}/${encode(parsed.database)}${query ? `?${query}` : ''}`;
  });
}

/** `host:port` of a URL, for logs and readiness: no credentials. */
export function hostLabel(url: string): string {
  return parsePostgresUrl(url)
    .hosts.map(({ host, port }) => `${host}:${port}`)
    .join(',');
}

/**
 * The single-host URL of the server that takes writes now: not in recovery (replication rule 24), and of two such servers
 * the one on the newer timeline. All hosts are asked at once, so that a mute one delays nobody. Throws the catalogue error of a
 * host that failed, `DATABASE_NO_PRIMARY` when all answered but all are standbys.
 */
export async function findPrimary(url: string, timeoutMs: number): Promise<string> {
  const answers = hostUrls(url).map(async (candidate) => {
    const timeline = await primaryTimeline(candidate, timeoutMs);
    if (timeline !== null) return { value: candidate, timeline };
    throw new LastcallError('DATABASE_NO_PRIMARY', { details: { hosts: hostLabel(url) } });
  });
  try {
    return await newestPrimary(answers);
  } catch (error) {
    const failures = (error as AggregateError).errors.map(translatePostgresError);
    throw failures.find(({ code }) => code !== 'DATABASE_NO_PRIMARY') ?? failures[0];
  }
}

/** Whether this one server answers and takes writes. Throws what `pg` throws. */
export async function isPrimary(url: string, timeoutMs: number): Promise<boolean> {
  return (await primaryTimeline(url, timeoutMs)) !== null;
}

/** `null` for a server in recovery. The name of the current WAL file begins with the timeline, in hexadecimal. */
async function primaryTimeline(url: string, timeoutMs: number): Promise<number | null> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ timeline: string | null }>(
      `SELECT ${CURRENT_TIMELINE} AS timeline`,
    );
    const timeline = rows[0]?.timeline ?? null;
    return timeline === null ? null : Number.parseInt(timeline, 16);
  } finally {
    // A frozen server never answers the goodbye either.
    void client.end().catch(() => {});
  }
}
