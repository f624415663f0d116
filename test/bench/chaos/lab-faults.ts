import type { Endpoints } from '../../../services/lab/endpoints.ts';
import { findPrimary } from '../../../shared/postgres/find-primary.ts';
import type { RunningLab } from '../../support/lab.ts';
import { query } from '../../support/replication-pair.ts';
import { waitFor } from '../../support/wait-for.ts';

/** SIGKILL for one part of the lab, as endpoints.json names it. */
export async function killPart(lab: RunningLab, site: string, part: string): Promise<void> {
  const pid = (await lab.endpoints()).sites[site]?.pids[part];
  if (pid === undefined) throw new Error(`the lab runs no ${site}.${part}`);
  process.kill(pid, 'SIGKILL');
}

/** Everybody who waited calls at once, and the first lookups of a process are its slowest. */
const FIRST_CALLS_MS = 2_000;

/** SIGKILL for a site's call-control; until when calls there may fail. Its health is one port after the api. */
export async function killCallControl(
  lab: RunningLab,
  site: string,
  onKilled: () => void,
): Promise<{ site: string; atMs: number }> {
  const { pids, api } = (await lab.endpoints()).sites[site] ?? {};
  const ready = new URL('/readyz', api);
  ready.port = String(Number(ready.port) + 1);
  await killPart(lab, site, 'call-control');
  onKilled();
  await waitFor(
    async () =>
      (await lab.endpoints()).sites[site]?.pids['call-control'] !== pids?.['call-control'] &&
      (await fetch(ready)).ok,
    { what: 'call-control to be ready again', deadlineMs: 60_000 },
  );
  return { site, atMs: Date.now() + FIRST_CALLS_MS };
}

/** `--halt` or `--revive` a part. */
export async function runLab(lab: RunningLab, ...words: string[]): Promise<void> {
  const { status, stderr } = await lab.command(...words);
  if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
}

/** The owner's URL of a site's primary. Site a's may be the standby by now, which the lab has ten ports further. */
export async function primaryUrl({ sites }: Endpoints, site: string): Promise<string> {
  const url = sites[site]?.postgres ?? '';
  if (site !== 'a') return url;
  const { port } = new URL(url);
  const both = `127.0.0.1:${port},127.0.0.1:${Number(port) + 10}`;
  return (await findPrimary(url.replace(`127.0.0.1:${port}`, both), 3_000)).url;
}

/** Site a's first server comes back as the standby of the one that was promoted, and from then on gets nothing more. */
export async function standbyBehind(lab: RunningLab, endpoints: Endpoints): Promise<void> {
  await runLab(lab, '--revive', 'a.postgres');
  const url = endpoints.sites['a']?.postgres ?? '';
  const receivers = async () =>
    (await query<{ status: string }>(url, 'SELECT status FROM pg_stat_wal_receiver')).map(
      ({ status }) => status,
    );
  await waitFor(async () => (await receivers()).includes('streaming'), {
    what: 'the standby to stream',
    deadlineMs: 60_000,
  });
  // Until repmgrd has noticed that its server is a standby now, it would not promote it.
  const repmgr = url.replace(/[^/]*$/, 'repmgr');
  await waitFor(
    async () => {
      const [row] = await query<{ ago: number }>(repmgr, 'SELECT repmgr.get_upstream_last_seen() AS ago');
      return row && row.ago >= 0 && row.ago < 5;
    },
    { what: 'repmgrd to watch the primary for its standby', deadlineMs: 60_000 },
  );
  await query(url, `ALTER SYSTEM SET primary_conninfo = ''`);
  await query(url, 'SELECT pg_reload_conf()');
  await waitFor(async () => (await receivers()).length === 0, { what: 'the standby to be left behind' });
}

/** `GET` or `POST` at a site's api with the administrator's token. */
export async function ask<T>(endpoints: Endpoints, site: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${endpoints.sites[site]?.api}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${endpoints.adminToken}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`${path} answered ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

interface DirectionJson {
  readonly from: string;
  readonly to: string;
  readonly state: string;
}

/** Until every direction streams; milliseconds. */
export async function untilStreaming(endpoints: Endpoints, site: string): Promise<number> {
  const startedAt = performance.now();
  await waitFor(
    async () => {
      const answer = await ask<{ directions: DirectionJson[] } | DirectionJson[]>(
        endpoints,
        site,
        '/v1/replication',
      );
      const directions = Array.isArray(answer) ? answer : answer.directions;
      return (
        directions.length > 1 &&
        directions.every(({ state }) => state === 'streaming' || state === 'catching-up')
      );
    },
    { what: 'every direction to stream', deadlineMs: 90_000, everyMs: 100 },
  );
  return performance.now() - startedAt;
}

/** Until a comparison finds every copy equal to its origin; milliseconds. */
export async function untilEqual(endpoints: Endpoints, site: string): Promise<number> {
  const startedAt = performance.now();
  await waitFor(async () => (await ask<{ equal: boolean }>(endpoints, site, '/v1/compare', {})).equal, {
    what: 'every copy to equal its origin',
    deadlineMs: 90_000,
    everyMs: 200,
  });
  return performance.now() - startedAt;
}

interface FailoverJson {
  readonly id: string;
  readonly state: string;
  readonly salvagedRows: number;
  readonly endedAt: string | null;
}

/** Until every failover that is not among `known` has ended, at least one of them done; how many rows they salvaged. */
export async function untilFailedOver(endpoints: Endpoints, known: ReadonlySet<string>): Promise<number> {
  const ended = await waitFor(
    async () => {
      const fresh = (await failovers(endpoints)).filter(({ id }) => !known.has(id));
      if (fresh.some(({ state }) => state === 'done') && fresh.every(({ endedAt }) => endedAt !== null))
        return fresh;
      throw new Error(JSON.stringify(fresh));
    },
    { what: 'the failover to be done', deadlineMs: 90_000, everyMs: 100 },
  );
  return ended.reduce((rows, { salvagedRows }) => rows + salvagedRows, 0);
}

export async function failovers(endpoints: Endpoints): Promise<FailoverJson[]> {
  const lists = await Promise.allSettled(
    Object.keys(endpoints.sites).map((site) =>
      ask<{ failovers: FailoverJson[] }>(endpoints, site, '/v1/failovers'),
    ),
  );
  return lists.flatMap((list) => (list.status === 'fulfilled' ? list.value.failovers : []));
}
