import type { Endpoints } from '../../../services/lab/endpoints.ts';
import type { RunningLab } from '../../support/lab.ts';
import { waitFor } from '../../support/wait-for.ts';

/** SIGKILL for one part of the lab, as endpoints.json names it. */
export async function killPart(lab: RunningLab, site: string, part: string): Promise<void> {
  const pid = (await lab.endpoints()).sites[site]?.pids[part];
  if (pid === undefined) throw new Error(`the lab runs no ${site}.${part}`);
  process.kill(pid, 'SIGKILL');
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
}

/** Until a failover that is not among `known` is done, at whichever site; its rows. */
export async function untilFailedOver(endpoints: Endpoints, known: ReadonlySet<string>): Promise<number> {
  const done = await waitFor(
    async () => (await failovers(endpoints)).find(({ id, state }) => state === 'done' && !known.has(id)),
    { what: 'the failover to be done', deadlineMs: 90_000, everyMs: 100 },
  );
  return done.salvagedRows;
}

export async function failovers(endpoints: Endpoints): Promise<FailoverJson[]> {
  const lists = await Promise.allSettled(
    Object.keys(endpoints.sites).map((site) =>
      ask<{ failovers: FailoverJson[] }>(endpoints, site, '/v1/failovers'),
    ),
  );
  return lists.flatMap((list) => (list.status === 'fulfilled' ? list.value.failovers : []));
}
