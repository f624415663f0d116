import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initSite } from '../../shared/postgres/init-site.ts';
import { withClient } from '../support/postgres.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCli } from '../unit/cli/run-cli.ts';
import { type StartedApi, startApi } from './started-api.ts';
import { startTwoSites, type TwoSites } from './two-sites.ts';

let sites: TwoSites;
let redis: RedisServer;
let api: StartedApi;
let file: string;
beforeAll(async () => {
  [sites, redis] = await Promise.all([startTwoSites(), startRedis()]);
  file = sites.configFile('a', { redis: { url: redis.url } });
  api = await startApi(sites.config('a', { redis: { url: redis.url } }), { file });
});
afterAll(async () => {
  await api.stop();
  await Promise.all([sites.server.remove(), redis.remove()]);
});

const directions = async (): Promise<string[]> => {
  const { json } = await api.request('GET', '/v1/replication');
  return json.directions.map(({ from, to, reason }: Record<string, string>) => `${from}>${to} ${reason}`);
};
/** A site's peers, and nothing else, as its file says from now on. */
const configure = (...peers: string[]) =>
  writeFileSync(
    file,
    sites.config('a', { redis: { url: redis.url }, peers: Object.fromEntries(peers.map(peerEntry)) }),
  );
const peerEntry = (site: string) => {
  const [replicatorUrl, coordinatorUrl] = [sites.url(site, 'replicator'), sites.url(site, 'coordinator')];
  return [site, { replicatorUrl, coordinatorUrl }] as const;
};

/** What replicators would do: each site's heartbeat at the others, which a comparison waits for. */
async function beatEverywhere(): Promise<void> {
  for (const at of ['a', 'b', 'c'])
    await withClient(sites.ownerUrl(at), async (client) => {
      for (const from of ['a', 'b', 'c'].filter((site) => site !== at))
        await client.query(`INSERT INTO lastcall.heartbeat_${from} (beat_at) VALUES ('infinity')`);
    });
}

test('a third site that joins while the api runs is in its answers, and one that leaves is not', async () => {
  await sites.server.createDatabase('site_c');
  await initSite({
    ownerUrl: sites.ownerUrl('c'),
    site: 'c',
    peers: ['a', 'b'],
    passwords: { app: 'app-pw', replicator: 'replicator-pw', coordinator: 'coordinator-pw' },
  });
  for (const config of [file, sites.configFile('b')])
    expect((await runCli(['sites', 'add', 'c', '--config', config])).exit).toBe(0);
  expect((await api.request('POST', '/v1/failovers', { site: 'c' })).json.code).toBe('SITE_UNKNOWN');

  configure('b', 'c');
  await waitFor(async () => (await directions()).includes('a>c never-started'), { what: 'site c to answer' });
  expect(await directions()).toContain('c>a never-started');
  expect((await api.request('POST', '/v1/failovers', { site: 'c' })).status).toBe(202);
  expect((await api.request('POST', '/v1/replication/a/c/pause')).status).toBe(202);
  await beatEverywhere();
  const { json } = await api.request('POST', '/v1/compare', {});
  expect(new Set(json.tables.map(({ to }: { to: string }) => to))).toContain('c');

  configure('b');
  await waitFor(async () => !(await directions()).some((direction) => direction.includes('>c')), {
    what: 'site c to be gone',
  });
  expect((await api.request('POST', '/v1/replication/a/c/pause')).json.code).toBe('SITE_UNKNOWN');
});
