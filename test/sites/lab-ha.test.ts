import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningLab, startLab } from '../support/lab.ts';
import { withClient } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';

let lab: RunningLab;
beforeAll(async () => {
  lab = await startLab(['--ha']);
});
afterAll(() => lab.remove());

type Failover = { readonly state: string; readonly site: string };

const siteA = async () => {
  const site = (await lab.endpoints()).sites.a;
  if (!site) throw new Error('no site a');
  return site;
};
const askApi = async <T>(path: string): Promise<T> => {
  const { adminToken } = await lab.endpoints();
  const response = await fetch(`${(await siteA()).api}${path}`, {
    headers: { authorization: `Bearer ${adminToken}` },
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
};
const standbysOf = (url: string): Promise<unknown[]> =>
  withClient(url, async (client) => {
    const streaming = `SELECT application_name AS name FROM pg_stat_replication
                       WHERE state = 'streaming' AND usename = 'repmgr'`;
    return (await client.query(streaming)).rows;
  });

test('site a has a standby that streams from its primary', async () => {
  expect(await standbysOf((await siteA()).postgres)).toEqual([{ name: 'standby' }]);
  expect((await siteA()).pids).toMatchObject({
    'postgres-repmgrd': expect.any(Number),
    'standby-repmgrd': expect.any(Number),
  });
});

test('a killed primary stays down, its standby takes over, and the coordinator rebuilds replication', async () => {
  process.kill((await siteA()).pids.postgres as number, 'SIGKILL');
  const done = await waitFor(
    async () => {
      const { failovers: all } = await askApi<{ failovers: Failover[] }>('/v1/failovers');
      return all.some(({ state }) => state === 'done') && all;
    },
    { what: 'the failover', deadlineMs: 25_000, everyMs: 250 },
  );
  expect(done.map(({ site, state }) => `${site} ${state}`)).not.toContain('a failed');
  expect((await siteA()).pids.postgres).toBeUndefined();
});

test('the old primary, revived, comes back as the standby of the new one', async () => {
  expect(await lab.command('--revive', 'a.postgres')).toMatchObject({ status: 0, stderr: '' });
  const newPrimary = (await siteA()).postgres.replace(/:\d+\//, `:${55442 + lab.portOffset}/`);
  await waitFor(async () => (await standbysOf(newPrimary)).length === 1, {
    what: 'the old primary to stream',
  });
  expect(await standbysOf(newPrimary)).toEqual([{ name: 'postgres' }]);
});
