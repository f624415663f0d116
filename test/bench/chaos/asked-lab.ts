import type { Endpoints } from '../../../services/lab/endpoints.ts';
import { waitFor } from '../../support/wait-for.ts';

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

interface StepJson {
  readonly direction: string;
  readonly step: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

export interface FailedOver {
  /** Rows. */
  readonly salvaged: number;
  /** When a heartbeat written after everything else had crossed in each direction. */
  readonly streamedAtMs: number;
  /** `a>b copy 1.2 s`, those that took a tenth of a second. */
  readonly steps: readonly string[];
}

/** Until every failover that is not among `known` has ended, at least one of them done. */
export async function untilFailedOver(endpoints: Endpoints, known: ReadonlySet<string>): Promise<FailedOver> {
  const ended = await waitFor(
    async () => {
      const fresh = (await failovers(endpoints)).filter(({ id }) => !known.has(id));
      if (fresh.some(({ state }) => state === 'done') && fresh.every(({ endedAt }) => endedAt !== null))
        return fresh;
      throw new Error(JSON.stringify(fresh));
    },
    { what: 'the failover to be done', deadlineMs: 90_000, everyMs: 100 },
  );
  const steps = (await Promise.all(ended.map(({ id }) => stepsOf(endpoints, id)))).flat();
  return {
    salvaged: ended.reduce((rows, { salvagedRows }) => rows + salvagedRows, 0),
    streamedAtMs: Math.max(...steps.filter(({ step }) => step === 'barrier').map(({ endMs }) => endMs)),
    steps: steps
      .filter(({ endMs, startMs }) => endMs - startMs >= 100)
      .map(({ what, startMs, endMs }) => `${what} ${((endMs - startMs) / 1000).toFixed(1)} s`),
  };
}

async function stepsOf(endpoints: Endpoints, id: string) {
  const reports = await Promise.allSettled(
    Object.keys(endpoints.sites).map((site) =>
      ask<{ steps: StepJson[] }>(endpoints, site, `/v1/failovers/${id}`),
    ),
  );
  const steps = reports.flatMap((report) => (report.status === 'fulfilled' ? report.value.steps : []));
  return steps.flatMap(({ direction, step, startedAt, endedAt }) =>
    endedAt === null
      ? []
      : [{ step, what: `${direction} ${step}`, startMs: Date.parse(startedAt), endMs: Date.parse(endedAt) }],
  );
}

export async function failovers(endpoints: Endpoints): Promise<FailoverJson[]> {
  const lists = await Promise.allSettled(
    Object.keys(endpoints.sites).map((site) =>
      ask<{ failovers: FailoverJson[] }>(endpoints, site, '/v1/failovers'),
    ),
  );
  return lists.flatMap((list) => (list.status === 'fulfilled' ? list.value.failovers : []));
}
