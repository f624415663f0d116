import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { type RunningLab, startLab } from '../support/lab.ts';
import { withClient } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';

const LASTCALL = join(packageRoot(), 'dist', 'services', 'cli', 'main.js');

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

test('a killed primary stays down, its standby takes over, and the coordinator rebuilds replication; who watches sees it', async () => {
  const watching = spawn(process.execPath, [LASTCALL, '--lab', lab.dataDir, 'status', '--watch', '--json']);
  const watched: Watched[] = [];
  createInterface(watching.stdout).on('line', (line) => void watched.push(JSON.parse(line)));
  await waitFor(() => watched.length > 0, { what: 'the command that watches', deadlineMs: 30_000 });
  process.kill((await siteA()).pids.postgres as number, 'SIGKILL');
  await waitFor(() => watched.some((line) => states(line).includes('stopped')), {
    what: 'the loss to be seen',
    deadlineMs: 30_000,
  });
  const done = await waitFor(
    async () => {
      const { failovers: all } = await askApi<{ failovers: Failover[] }>('/v1/failovers');
      return all.some(({ state }) => state === 'done') && all;
    },
    { what: 'the failover', deadlineMs: 60_000, everyMs: 250 },
  );
  expect(done.map(({ site, state }) => `${site} ${state}`)).not.toContain('a failed');
  expect((await siteA()).pids.postgres).toBeUndefined();
  await waitFor(() => states(watched.at(-1)).every((state) => state === 'streaming'), {
    what: 'the watching command to look at the new primary',
    deadlineMs: 30_000,
  });
  watching.kill('SIGINT');
});

interface Watched {
  readonly directions: readonly { readonly state: string }[];
}
const states = (line: Watched | undefined): string[] =>
  line?.directions.map(({ state }) => state) ?? ['none'];

test('the old primary, revived, comes back as the standby of the new one', async () => {
  expect(await lab.command('--revive', 'a.postgres')).toMatchObject({ status: 0, stderr: '' });
  const newPrimary = (await siteA()).postgres.replace(/:\d+\//, `:${55442 + lab.portOffset}/`);
  await waitFor(async () => (await standbysOf(newPrimary)).length === 1, {
    what: 'the old primary to stream',
  });
  expect(await standbysOf(newPrimary)).toEqual([{ name: 'postgres' }]);
});
