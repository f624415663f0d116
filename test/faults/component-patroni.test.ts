import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { DEFAULT_SETTINGS } from '../../services/coordinator/settings.ts';
import { Database } from '../../shared/postgres/database.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { giveTo, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import { type PgBouncer, startPgBouncer } from '../pg/pgbouncer.ts';
import { expectCopiesEqualOrigins, expectSameFreshest } from '../support/invariants.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  siteOf,
  startReplicator,
  startSystemPostgres,
  untilStreaming,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCli } from '../unit/cli/run-cli.ts';
import {
  failoverRecords,
  type RunningCoordinator,
  startCoordinator,
  untilFailoversDone,
} from './coordinated-sites.ts';
import { type HaProxy, startHaProxy } from './haproxy.ts';
import { PATRONI_PASSWORD, type PatroniCluster, startPatroniCluster } from './patroni-cluster.ts';
import { dial, openStores, PATIENT_MS } from './recording-stores.ts';

let folder: string;
let cluster: PatroniCluster;
let haproxy: HaProxy;
let serverB: PostgresServer;
let redis: RedisServer;
let connection: RedisConnection;
let a: SiteDatabase;
let b: SiteDatabase;
let replicators: RunningReplicator[] = [];
let coordinator: RunningCoordinator;
let calls: Database;

beforeAll(async () => {
  folder = await mkdtemp(join(privateTemporaryFolder(), 'patroni-'));
  await giveTo(unprivilegedUser(), folder);
  const main = join(packageRoot(), 'dist/services/cli/main.js');
  const callback = `${process.execPath} ${main} --config ${join(folder, 'a.yaml')} hook patroni`;
  [cluster, serverB, redis] = await Promise.all([
    startPatroniCluster(folder, callback),
    startSystemPostgres(),
    startRedis(),
  ]);
  haproxy = await startHaProxy(cluster.nodes);
  connection = await connectRedis(redis.url);
  a = await makeSite('a', ['b'], (user, password) => urlAt(user, password)(haproxy.port));
  b = await makeSite('b', ['a'], siteOf(serverB));
  await writeConfig();
  // Neither resynchronises by itself, and nothing is found by watching: only the callback can begin the failover.
  const settings = { coordinatorGraceMs: 120_000 };
  replicators = [
    startReplicator(a, { b: b.replicator }, settings),
    startReplicator(b, { a: a.replicator }, settings),
  ];
  const onlyWhatIsAsked = { ...DEFAULT_SETTINGS, watchMs: 100, settleMs: 600_000 };
  const ends = { connection, url: redis.url };
  coordinator = startCoordinator(a, [a, b], ends, { settings: onlyWhatIsAsked });
  calls = new Database({ url: a.app, applicationName: 'calls' });
  await calls.start();
});

afterAll(async () => {
  await calls?.close();
  await coordinator?.coordinator.stop();
  await Promise.all(replicators.map(({ replicator }) => replicator.stop()));
  await haproxy?.remove();
  await cluster?.stop();
  await connection?.close();
  await Promise.all([serverB.remove(), redis.remove()]);
  await rm(folder, { recursive: true, force: true });
});

const urlAt =
  (user = 'postgres', password = PATRONI_PASSWORD) =>
  (port: number): string =>
    `postgres://${user}:${password}@127.0.0.1:${port}/postgres`;

/** What the callback reads; with the api away it writes the request into the database. */
async function writeConfig(): Promise<void> {
  const file = join(folder, 'a.yaml');
  const config = {
    site: 'a',
    domain: 'lastcall.test',
    postgres: { url: a.app },
    redis: { url: redis.url },
    api: { listen: '127.0.0.1:1' },
  };
  await writeFile(file, stringify(config));
  await chmod(file, 0o644);
}

/** As docs/operations/switchover.md has it. */
async function writeSwitchoverConfig(bouncer: PgBouncer): Promise<string> {
  const file = join(folder, 'switchover.yaml');
  const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',');
  const config = {
    site: 'a',
    domain: 'lastcall.test',
    postgres: { url: `postgres://lastcall_app:lastcall-test@${hosts}/postgres` },
    redis: { url: redis.url },
    api: { listen: '127.0.0.1:1' },
    coordinator: {
      switchoverCommand: `patronictl -c ${join(folder, 'patroni1.yaml')} switchover --leader node1 --candidate node2 --force main`,
      pgbouncerUrls: [bouncer.url('pgbouncer', 'bouncer')],
    },
  };
  await writeFile(file, stringify(config));
  return file;
}

const FIRST_CALLER = 10_001;
const dialAll = (url: string, number: string) =>
  query(
    url,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date)
     SELECT id, $1, clock_timestamp() FROM generate_series(1, 1000) id`,
    [number],
  );

test('a planned switchover by patronictl behind PgBouncer PAUSE, under calls: it is completed, nothing fails and nothing is lost', async () => {
  await Promise.all(replicators.map((running) => untilStreaming(running)));
  const [primary, standby] = cluster.nodes;
  const bouncer = await startPgBouncer(haproxy.port, { lastcall_app: 'lastcall-test', bouncer: 'any' });
  const stores = await openStores(bouncer.url('postgres', 'lastcall_app'), PATIENT_MS);
  try {
    let going = true;
    const kept: Promise<string>[] = [];
    const calling = (async () => {
      for (let id = FIRST_CALLER; going; id++) {
        kept.push(stores.writer.record(dial(id, String(id))));
        await delay(20);
      }
    })();
    await waitFor(() => kept.length > 20, { what: 'calls before it' });
    const run = await runCli([
      'switchover',
      'a',
      '--to',
      `127.0.0.1:${standby.port}`,
      '--config',
      await writeSwitchoverConfig(bouncer),
    ]);
    expect(run).toMatchObject({ exit: 0, out: expect.stringContaining('is the primary of site a after') });
    const during = kept.length;
    await waitFor(() => kept.length > during + 20, { what: 'calls after it' });
    going = false;
    await calling;
    expect(new Set(await Promise.all(kept))).toEqual(new Set(['durable']));
    const numbers = await query<{ number: string }>(
      urlAt()(standby.port),
      'SELECT last_dialed_call AS number FROM lastcall.lastcalls_a WHERE terminal_id >= $1 ORDER BY terminal_id',
      [FIRST_CALLER],
    );
    expect(numbers.map(({ number }) => Number(number))).toEqual(kept.map((_, index) => FIRST_CALLER + index));
  } finally {
    await stores.database.close();
    await bouncer.remove();
  }
  await untilFailoversDone({ a: a.owner, b: b.owner }, 1);
  await Promise.all(replicators.map((running) => untilStreaming(running)));
  await expectCopiesEqualOrigins([a, b]);
  await waitFor(async () => (await fetch(`http://127.0.0.1:${primary.restPort}/replica`)).ok, {
    what: 'the old primary to follow the new one',
    deadlineMs: 60_000,
  });
});

test('Patroni promotes, its on_role_change begins the failover, and one address of HAProxy serves every connection', async () => {
  await Promise.all(replicators.map((running) => untilStreaming(running)));
  const earlier = await failoverRecords({ a: a.owner, b: b.owner });
  await dialAll(a.owner, '100');
  await dialAll(b.owner, '200');
  await expectCopiesEqualOrigins([a, b]);
  const [standby, primary] = cluster.nodes;
  await waitFor(
    async () =>
      (await query(urlAt()(standby.port), `SELECT FROM lastcall.lastcalls_a WHERE last_dialed_call = '100'`))
        .length === 1000,
    { what: 'the standby to have replayed the calls' },
  );

  await primary.crash();

  const done = { deadlineMs: 60_000, everyMs: 100 };
  const promoted = `SELECT FROM lastcall.failovers WHERE NOT pg_is_in_recovery()`;
  await waitFor(async () => (await query(urlAt()(standby.port), promoted)).length > 0, {
    what: 'the callback to ask for a failover',
    ...done,
  });
  const records = await untilFailoversDone(
    { a: a.owner, b: b.owner },
    earlier.filter(({ state }) => state === 'done').length + 1,
  );
  const known = new Set(earlier.map(({ id }) => id));
  expect(records.filter(({ id }) => !known.has(id))).toMatchObject([
    { site: 'a', state: 'done', reason: 'patroni on_role_change', timeline: 3 },
  ]);
  await Promise.all(replicators.map((running) => untilStreaming(running)));
  await expectCopiesEqualOrigins([a, b]);
  await expectSameFreshest([a, b]);

  const [server] = await waitFor(() => calls.query('SELECT inet_server_port() AS port'), {
    what: 'the calls to follow through HAProxy',
  });
  expect(server).toEqual({ port: standby.port });
  await dialAll(a.owner, '101');
  await dialAll(b.owner, '201');
  await expectCopiesEqualOrigins([a, b]);
});
