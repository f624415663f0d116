import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { openQueue } from '../../shared/redis/queues.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  siteOf,
  startReplicator,
  untilStreaming,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  failoverRecords,
  type RunningCoordinator,
  startCoordinator,
  untilFailoversDone,
} from './coordinated-sites.ts';

let servers: [PostgresServer, PostgresServer];
let a: SiteDatabase;
let b: SiteDatabase;
let replicators: RunningReplicator[];
let redisServer: RedisServer;
let redis: RedisConnection;
let running: RunningCoordinator;

beforeAll(async () => {
  const [serverA, serverB, started] = await Promise.all([startPostgres(), startPostgres(), startRedis()]);
  servers = [serverA, serverB];
  redisServer = started;
  [a, b] = await Promise.all([makeSite('a', ['b'], siteOf(serverA)), makeSite('b', ['a'], siteOf(serverB))]);
  redis = await connectRedis(redisServer.url);
  replicators = [startReplicator(a, { b: b.replicator }), startReplicator(b, { a: a.replicator })];
  await Promise.all(replicators.map((one) => untilStreaming(one)));
  running = startCoordinator(b, [b], { connection: redis, url: redisServer.url });
});

afterAll(async () => {
  await running.coordinator.stop();
  await Promise.all(replicators.map(({ replicator }) => replicator.stop()));
  await redis.close();
  await Promise.all([...servers, redisServer].map((server) => server.remove()));
});

const reachable = (site: string): boolean =>
  running.coordinator.observations?.get(site)?.view.reachable ?? false;

test('a site that joins while the coordinator runs is watched, one that leaves is not', async () => {
  await waitFor(() => reachable('b'), { what: 'site b to be seen' });
  expect(running.coordinator.observations?.has('a')).toBe(false);
  const everybody = new Map([a, b].map(({ site, coordinator }) => [site, coordinator]));
  running.coordinator.setSites(everybody);
  await waitFor(() => reachable('a') && reachable('b'), { what: 'both sites to be seen' });
  running.coordinator.setSites(new Map([['b', b.coordinator]]));
  await waitFor(() => !running.coordinator.observations?.has('a'), { what: 'site a to be seen no more' });
  running.coordinator.setSites(everybody);
  await waitFor(() => reachable('a'), { what: 'site a to be back' });
});

test('a request that comes as a job while PostgreSQL is away is kept there and done when it is back', async () => {
  const queue = openQueue('failover', { site: 'b', url: redisServer.url, log: pino({ level: 'silent' }) });
  await queue.waitUntilReady();
  await servers[1].stop('immediate');
  await waitFor(() => !reachable('b'), { what: 'site b to be missed' });
  const id = randomUUID();
  await queue.add('failover', { id, site: 'a', reason: 'operator', requestedBy: 'test' }, { jobId: id });
  await queue.close();
  await servers[1].start();
  const records = await untilFailoversDone({ b: b.owner }, 1);
  expect(records).toMatchObject([{ id, site: 'a', state: 'done', error: null }]);
});

test('without Redis a request in the table is found and done all the same', async () => {
  await redisServer.kill();
  const id = randomUUID();
  await query(
    b.owner,
    `INSERT INTO lastcall.failovers (id, site, reason, requested_by) VALUES ($1, 'b', 'operator', 'test')`,
    [id],
  );
  await untilFailoversDone({ b: b.owner }, 2);
  expect((await failoverRecords({ b: b.owner })).find((record) => record.id === id)?.state).toBe('done');
  await redisServer.start();
});
