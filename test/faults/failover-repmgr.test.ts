import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';
import { expectCopiesEqualOrigins, expectSameFreshest } from '../support/invariants.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import {
  makeSite,
  query,
  type SiteDatabase,
  siteOf,
  startSystemPostgres,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import { failoverRecords, untilFailoversDone } from './coordinated-sites.ts';
import { haDatabase } from './ha-site.ts';
import { type RepmgrCluster, startRepmgrCluster } from './repmgr-cluster.ts';

let cluster: RepmgrCluster;
let serverB: PostgresServer;
let redis: RedisServer;
let a: SiteDatabase;
let b: SiteDatabase;
const configs: Record<string, string> = {};
const ports: Record<string, number> = {};
const processes = new Map<string, ServerProcess>();

beforeAll(async () => {
  [cluster, serverB, redis] = await Promise.all([startRepmgrCluster(), startSystemPostgres(), startRedis()]);
  await makeSite('a', ['b'], (user, password) => cluster.primary.url('postgres', user, password));
  a = haDatabase('a', [cluster.primary, cluster.standby]);
  b = await makeSite('b', ['a'], siteOf(serverB));
  await writeConfig(a, b);
  await writeConfig(b, a);
  await Promise.all(
    ['a', 'b'].flatMap((site) => [startService(site, 'replicator'), startService(site, 'coordinator')]),
  );
  const main = join(packageRoot(), 'dist/services/cli/main.js');
  await cluster.startDaemon(
    `${process.execPath} ${main} hook repmgr %n %e %s "%t" "%d" --config ${configs['a']}`,
  );
});

afterAll(async () => {
  await Promise.all([...processes.values()].map((service) => service.stop()));
  await Promise.all([cluster.remove(), serverB.remove(), redis.remove()]);
});

/** Nothing is found by watching: only the hook can begin the failover, only the coordinator can resynchronise a. */
async function writeConfig(own: SiteDatabase, peer: SiteDatabase): Promise<void> {
  const health: Record<string, string> = {};
  for (const service of ['replicator', 'coordinator']) {
    const port = await freePort();
    ports[`${own.site} ${service}`] = port;
    health[service] = `127.0.0.1:${port}`;
  }
  const file = join(cluster.folder, `${own.site}.yaml`);
  configs[own.site] = file;
  await writeFile(
    file,
    stringify({
      site: own.site,
      domain: 'lastcall.test',
      postgres: { url: own.app, replicatorUrl: own.replicator, coordinatorUrl: own.coordinator },
      redis: { url: redis.url },
      api: { listen: `127.0.0.1:${await freePort()}` },
      health,
      peers: { [peer.site]: { replicatorUrl: peer.replicator, coordinatorUrl: peer.coordinator } },
      replication: { heartbeatMs: 200, coordinatorGraceMs: 120_000 },
      coordinator: { watchMs: 200, settleMs: 600_000 },
    }),
  );
  await chmod(file, 0o644);
}

async function startService(site: string, service: string): Promise<void> {
  const started = startServerProcess({
    file: process.execPath,
    args: [join(packageRoot(), 'dist/services', service, 'main.js'), '--config', configs[site] ?? ''],
    spawn: {},
    stopSignal: 'SIGTERM',
    ready: async () => {
      const answer = await fetch(`http://127.0.0.1:${ports[`${site} ${service}`]}/readyz`).catch(() => null);
      if (answer?.ok) return true;
      await delay(50);
      return false;
    },
  });
  processes.set(`${site} ${service}`, started);
  await started.untilReady(20_000);
}

const dial = (url: string, number: string) =>
  query(
    url,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date)
     SELECT id, $1, clock_timestamp() FROM generate_series(1, 5000) id`,
    [number],
  );

test('repmgrd promotes, its hook begins the failover, and kill -9 of both coordinators in the middle changes nothing', async () => {
  await dial(cluster.primary.url(), '100');
  await dial(b.owner, '200');
  await expectCopiesEqualOrigins([{ ...a, owner: cluster.primary.url() }, b]);
  await cluster.primary.kill();

  const promoted = { a: cluster.standby.url(), b: b.owner };
  const urls = cluster.standby.url();
  await waitFor(
    async () => (await query(urls, `SELECT FROM lastcall.failover_steps WHERE step <> 'check'`)).length > 0,
    { what: 'the failover to begin', deadlineMs: 60_000, everyMs: 5 },
  );
  await Promise.all(['a', 'b'].map((site) => processes.get(`${site} coordinator`)?.kill()));
  const [interrupted] = await failoverRecords({ a: cluster.standby.url() });
  await Promise.all(['a', 'b'].map((site) => startService(site, 'coordinator')));

  const records = await untilFailoversDone(promoted, 1);
  expect(interrupted, 'what was killed had begun').toMatchObject({
    site: 'a',
    reason: expect.stringContaining('repmgr'),
  });
  expect(records.map(({ state }) => state).filter((state) => state === 'failed')).toEqual([]);
  const sites = [{ ...a, owner: cluster.standby.url() }, b];
  await expectCopiesEqualOrigins(sites);
  await expectSameFreshest(sites);
  expect(await query(b.owner, 'SELECT FROM lastcall.lastcalls_freshest')).toHaveLength(5000);
});
