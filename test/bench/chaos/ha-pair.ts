import type { Endpoints } from '../../../services/lab/endpoints.ts';
import { findPrimary } from '../../../shared/postgres/find-primary.ts';
import type { RunningLab } from '../../support/lab.ts';
import { query } from '../../support/replication-pair.ts';
import { waitFor } from '../../support/wait-for.ts';
import { databaseUrl, runLab } from './lab-parts.ts';

/** One of the two servers of site a. */
export interface HaServer {
  /** As the lab names it. */
  readonly part: string;
  /** The owner's. */
  readonly url: string;
}

const STANDBY_PORTS_FURTHER = 10;
const REPLAYING_DEADLINE_MS = 60_000;

/** The two servers of site a, the present primary first. */
export async function haPair(
  endpoints: Endpoints,
): Promise<{ readonly primary: HaServer; readonly other: HaServer }> {
  const url = databaseUrl(endpoints, 'a');
  const { port } = new URL(url);
  const standbyPort = Number(port) + STANDBY_PORTS_FURTHER;
  const [first, second] = [
    { part: 'postgres', url },
    { part: 'standby', url: url.replace(`127.0.0.1:${port}`, `127.0.0.1:${standbyPort}`) },
  ] as const;
  const both = url.replace(`127.0.0.1:${port}`, `127.0.0.1:${port},127.0.0.1:${standbyPort}`);
  const primary = await findPrimary(both, 3_000);
  return new URL(primary.url).port === port
    ? { primary: first, other: second }
    : { primary: second, other: first };
}

/** The owner's URL of a site's primary. */
export const primaryUrl = async (endpoints: Endpoints, site: string): Promise<string> =>
  site === 'a' ? (await haPair(endpoints)).primary.url : databaseUrl(endpoints, site);

/** Site a has a standby that streams and that repmgrd would promote, whatever became of the last one. Returns both. */
export async function withStandby(
  lab: RunningLab,
  endpoints: Endpoints,
): Promise<{ readonly primary: HaServer; readonly standby: HaServer }> {
  const { primary, other: standby } = await haPair(endpoints);
  if ((await receivers(standby).catch((): string[] => [])).includes('streaming')) return { primary, standby };
  await runLab(lab, '--halt', `a.${standby.part}`);
  await runLab(lab, '--revive', `a.${standby.part}`);
  await waitFor(async () => (await receivers(standby)).includes('streaming'), {
    what: 'the standby to stream',
    deadlineMs: REPLAYING_DEADLINE_MS,
  });
  // Until repmgrd has noticed that its server is a standby now, it would not promote it.
  const repmgr = standby.url.replace(/[^/]*$/, 'repmgr');
  await waitFor(
    async () => {
      const [row] = await query<{ ago: number }>(repmgr, 'SELECT repmgr.get_upstream_last_seen() AS ago');
      return row && row.ago >= 0 && row.ago < 5;
    },
    { what: 'repmgrd to watch the primary for its standby', deadlineMs: REPLAYING_DEADLINE_MS },
  );
  return { primary, standby };
}

/** From now on the standby gets nothing more. */
export async function leaveBehind(standby: HaServer): Promise<void> {
  await query(standby.url, `ALTER SYSTEM SET primary_conninfo = ''`);
  await query(standby.url, 'SELECT pg_reload_conf()');
  await waitFor(async () => (await receivers(standby)).length === 0, {
    what: 'the standby to be left behind',
  });
}

/** The standby becomes a primary, whatever else is one; then repmgr is told, as its own promotion would have. */
export async function promote(standby: HaServer): Promise<void> {
  await query(standby.url, 'SELECT pg_promote()');
  await query(
    standby.url.replace(/[^/]*$/, 'repmgr'),
    `UPDATE repmgr.nodes SET active = node_name = $1,
       type = CASE WHEN node_name = $1 THEN 'primary' ELSE 'standby' END,
       upstream_node_id = CASE WHEN node_name = $1 THEN NULL ELSE (SELECT node_id FROM repmgr.nodes WHERE node_name = $1) END`,
    [standby.part],
  );
}

export async function untilPromoted(server: HaServer): Promise<void> {
  await waitFor(
    async () => {
      const [row] = await query<{ standby: boolean }>(server.url, 'SELECT pg_is_in_recovery() AS standby');
      return row?.standby === false;
    },
    { what: `${server.part} to be promoted`, deadlineMs: 30_000, everyMs: 100 },
  );
}

const receivers = async ({ url }: HaServer): Promise<string[]> =>
  (await query<{ status: string }>(url, 'SELECT status FROM pg_stat_wal_receiver')).map(
    ({ status }) => status,
  );
