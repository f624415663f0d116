import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEFAULT_SETTINGS } from '../../services/coordinator/settings.ts';
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
import { waitFor } from '../support/wait-for.ts';
import { type RunningCoordinator, startCoordinator, untilFailoversDone } from './coordinated-sites.ts';
import { startCoordinatorProcess } from './coordinator-process.ts';

let servers: PostgresServer[];
let a: SiteDatabase;
let b: SiteDatabase;
let replicators: RunningReplicator[];
let redisServer: RedisServer;
let redis: RedisConnection;
let atB: RunningCoordinator;

/** Site a has no coordinator but where a test starts one: it died. */
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
  atB = startCoordinator(
    b,
    [a, b],
    { connection: redis, url: redisServer.url },
    // Long enough for the site's own coordinator, where there is one, to be first.
    { settings: { ...DEFAULT_SETTINGS, watchMs: 100, settleMs: 2_000, barrierTimeoutMs: 15_000 } },
  );
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

test('rule 32 a coordinator frozen in the middle of a swap is replaced, and changes nothing when it wakes', async () => {
  const frozen = await startCoordinatorProcess(a, { b: b.coordinator }, redisServer.url);
  const reader = new pg.Client({ connectionString: b.owner });
  await reader.connect();
  try {
    // Who reads the copy keeps the swap trying.
    await reader.query('BEGIN; SELECT FROM lastcall.lastcalls_a LIMIT 1');
    const id = randomUUID();
    await query(
      a.owner,
      `INSERT INTO lastcall.failovers (id, site, reason, requested_by) VALUES ($1, 'a', 'restored', 'test')`,
      [id],
    );
    await waitFor(
      async () =>
        (
          await query(
            a.owner,
            `SELECT FROM lastcall.failover_steps WHERE failover = $1 AND step = 'swap' AND state = 'running'`,
            [id],
          )
        ).length > 0,
      { what: 'the swap to be tried', deadlineMs: 60_000 },
    );
    frozen.freeze();
    const frozenAtMs = performance.now();
    await reader.query('COMMIT');
    await untilFailoversDone({ a: a.owner, b: b.owner }, 2, 40_000);
    const tookMs = performance.now() - frozenAtMs;
    expect(tookMs, 'the lease of the frozen one had to end first').toBeGreaterThan(4_000);
    expect(tookMs).toBeLessThan(20_000);
    const before = await standing();
    const [{ now: wokenAt }] = (await query(a.owner, 'SELECT clock_timestamp()::text AS now')) as [
      { now: string },
    ];
    frozen.wake();
    await waitFor(async () => (await query(a.owner, LOOKED_SINCE, [wokenAt])).length > 0, {
      what: 'the woken coordinator to have looked around again',
      deadlineMs: 60_000,
    });
    expect(await standing()).toEqual(before);
    await Promise.all(replicators.map((one) => untilStreaming(one)));
    await expectCopiesEqualOrigins([a, b]);
  } finally {
    await reader.end();
    frozen.wake();
    await frozen.stop();
  }
});

/** Some rounds after it was woken, with nothing of a flow left under way. */
const LOOKED_SINCE = `SELECT FROM pg_stat_activity WHERE application_name = 'lastcall-coordinator-a'
  AND query_start > $1::timestamptz + interval '3 seconds'
  AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'lastcall-failover')`;

/** Whose every direction is, and what stands written down. */
async function standing(): Promise<unknown> {
  const owned = [a, b].map(({ owner }) =>
    query(
      owner,
      `SELECT o.peer, o.epoch, p.generation, c.fenced_by FROM lastcall.replication_owner o
       JOIN lastcall.replication_position p USING (peer) LEFT JOIN lastcall.replication_control c USING (peer)`,
    ),
  );
  const steps = query(
    a.owner,
    `SELECT failover, direction, step, state, attempts, ended_at::text FROM lastcall.failover_steps ORDER BY 1, 2, 3`,
  );
  return Promise.all([...owned, steps]);
}

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
  const records = await untilFailoversDone({ a: a.owner, b: b.owner }, 3);
  expect(records.find((record) => record.id === id)).toMatchObject({ home: 'a', state: 'done' });
  await Promise.all(replicators.map((one) => untilStreaming(one)));
  await expectCopiesEqualOrigins([a, b]);
});
