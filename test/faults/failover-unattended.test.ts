import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
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
import { type RunningCoordinator, startCoordinator, untilFailoversDone } from './coordinated-sites.ts';

let servers: PostgresServer[];
let a: SiteDatabase;
let b: SiteDatabase;
let replicators: RunningReplicator[];
let redisServer: RedisServer;
let redis: RedisConnection;
let atB: RunningCoordinator;

/** Site a has no coordinator: it died. */
beforeAll(async () => {
  const [serverA, serverB, started] = await Promise.all([
    startSystemPostgres(),
    startPostgres(),
    startRedis(),
  ]);
  servers = [serverA, serverB];
  redisServer = started;
  [a, b] = await Promise.all([makeSite('a', ['b'], siteOf(serverA)), makeSite('b', ['a'], siteOf(serverB))]);
  redis = await connectRedis(redisServer.url);
  replicators = [startReplicator(a, { b: b.replicator }), startReplicator(b, { a: a.replicator })];
  await Promise.all(replicators.map((one) => untilStreaming(one)));
  atB = startCoordinator(b, [a, b], { connection: redis, url: redisServer.url });
});

afterAll(async () => {
  await atB?.coordinator.stop();
  await Promise.all((replicators ?? []).map(({ replicator }) => replicator.stop()));
  await redis?.close();
  await Promise.all([...(servers ?? []), redisServer].map((server) => server?.remove()));
});

test("rule 32 a hook's request at a site whose coordinator is dead is done by its peer's", async () => {
  const id = randomUUID();
  await query(
    a.owner,
    `INSERT INTO lastcall.failovers (id, site, reason, requested_by) VALUES ($1, 'a', 'operator', 'repmgr')`,
    [id],
  );
  const records = await untilFailoversDone({ a: a.owner, b: b.owner }, 1);
  expect(records).toMatchObject([{ id, home: 'a', site: 'a', state: 'done', error: null }]);
});

test('rule 32 a flow that stopped half way is gone on with at its next step', async () => {
  const id = randomUUID();
  await query(
    a.owner,
    `INSERT INTO lastcall.failovers (id, site, reason, requested_by) VALUES ($1, 'b', 'restored', 'test')`,
    [id],
  );
  // What a coordinator that was killed while it held both directions leaves.
  for (const [owner, peer] of [
    [a.owner, 'b'],
    [b.owner, 'a'],
  ] as const) {
    await query(
      owner,
      `INSERT INTO lastcall.replication_control (peer, fenced_by) VALUES ($1, $2)
       ON CONFLICT (peer) DO UPDATE SET fenced_by = excluded.fenced_by`,
      [peer, id],
    );
  }
  const records = await untilFailoversDone({ a: a.owner, b: b.owner }, 2);
  expect(records.find((record) => record.id === id)).toMatchObject({ home: 'a', state: 'done' });
  await Promise.all(replicators.map((one) => untilStreaming(one)));
  await expectCopiesEqualOrigins([a, b]);
});
