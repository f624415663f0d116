import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { expectCopiesEqualOrigins, expectSameFreshest, watchReaders } from '../support/invariants.ts';
import { type PostgresServer, withClient } from '../support/postgres.ts';
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
import { freezeStandby, type HaSite, promote, startHaSite, untilReplayed } from './ha-site.ts';

const TERMINALS = 1_000;
let a: HaSite;
let serverB: PostgresServer;
let b: SiteDatabase;
let redisServer: RedisServer;
let redis: RedisConnection;
let replicators: RunningReplicator[];
let coordinators: RunningCoordinator[];

beforeEach(async () => {
  [a, serverB, redisServer] = await Promise.all([
    startHaSite('a', ['b'], 2),
    startSystemPostgres(),
    startRedis(),
  ]);
  b = await makeSite('b', ['a'], siteOf(serverB));
  redis = await connectRedis(redisServer.url);
  const settings = { coordinatorGraceMs: 60_000 };
  replicators = [
    startReplicator(a.database, { b: b.replicator }, settings),
    startReplicator(b, { a: a.database.replicator }, settings),
  ];
  await Promise.all(replicators.map((running) => untilStreaming(running)));
  await dialAll(first().url(), '100');
  await dialAll(b.owner, '200');
  await expectCopiesEqualOrigins([atServer(first()), b]);
});

afterEach(async () => {
  await Promise.all(coordinators.map(({ coordinator }) => coordinator.stop()));
  await Promise.all(replicators.map(({ replicator }) => replicator.stop()));
  await redis.close();
  await Promise.all([a.remove(), serverB.remove(), redisServer.remove()]);
});

const first = () => a.servers[0] as PostgresServer;
const standby = (index: 1 | 2) => a.servers[index] as PostgresServer;
const atServer = (server: PostgresServer): SiteDatabase => ({ ...a.database, owner: server.url() });

const dialAll = (url: string, number: string) =>
  query(
    url,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date)
     SELECT id, $1, clock_timestamp() FROM generate_series(1, ${TERMINALS}) id`,
    [number],
  );

/** Commits on the primary what no standby gets, and waits until site b has it. The standby to promote comes last: it must be ahead. */
async function dialAndLose(
  primary: PostgresServer,
  number: string,
  standbys: readonly PostgresServer[],
): Promise<void> {
  for (const server of standbys) {
    await untilReplayed(primary, server);
    await freezeStandby(server);
  }
  await dialAll(primary.url(), number);
  await expectCopiesEqualOrigins([atServer(primary), b]);
}

/** The other standby streams from the promoted server. */
async function follow(server: PostgresServer, primary: PostgresServer): Promise<void> {
  await withClient(server.url(), async (client) => {
    await client.query(`ALTER SYSTEM SET primary_conninfo = ${client.escapeLiteral(primary.url())}`);
    await client.query('SELECT pg_reload_conf()');
  });
  await waitFor(
    async () =>
      (await query(server.url(), `SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'`)).length > 0,
    {
      what: 'the other standby to follow',
    },
  );
}

const startCoordinators = (options: Parameters<typeof startCoordinator>[3] = {}) => {
  const sites = [a.database, b];
  coordinators = sites.map((home) =>
    startCoordinator(home, sites, { connection: redis, url: redisServer.url }, options),
  );
};

test('rule 1 a promotion that nobody reports is found, resynchronised once and salvaged, though its slot was made again', async () => {
  startCoordinators();
  await dialAndLose(first(), '111', [standby(2), standby(1)]);
  await first().kill();
  const readers = watchReaders(b, 'lastcalls_freshest');
  await promote(standby(1));
  // As some tools do: a slot of the old name, beyond which a naive consumer would stream on and miss what was written before.
  await query(standby(1).url(), `SELECT pg_create_logical_replication_slot('lastcall_b', 'pgoutput')`);
  await query(
    standby(1).url(),
    `INSERT INTO lastcall.lastcalls (terminal_id, last_received_call, last_received_date) VALUES (1, '300', clock_timestamp())`,
  );

  const records = await untilFailoversDone({ a: standby(1).url(), b: b.owner }, 1, 60_000);
  // Both coordinators may have seen it at the same moment: then the second finds it answered.
  const done = records.filter(({ state }) => state === 'done');
  expect(done.map(({ site, reason }) => ({ site, reason }))).toEqual([
    { site: 'a', reason: 'timeline-changed' },
  ]);
  expect(records.filter(({ state }) => !['done', 'superseded'].includes(state))).toEqual([]);
  expect(done[0]?.salvaged_rows).toBe(TERMINALS);
  await expectCopiesEqualOrigins([atServer(standby(1)), b]);
  await expectSameFreshest([atServer(standby(1)), b]);
  const { fewestRows, longestWaitMs } = await readers.stop();
  expect(fewestRows, 'I6 rows that a reader saw').toBe(TERMINALS);
  expect(longestWaitMs, 'I6 milliseconds that a reader waited').toBeLessThan(100);
  // Told after the report is written; a direction's start by the next look.
  const expected = ['failover-begun', 'failover-ended', 'salvaged', 'replication-started'];
  await waitFor(
    () => {
      const told = coordinators.flatMap(({ events }) => events.map(({ event }) => event as string));
      return expected.every((event) => told.includes(event));
    },
    { what: `${expected.join(', ')} to be told` },
  );
});

test('a failover that begins during another supersedes it, and nothing of either is lost', async () => {
  let reached = () => {};
  let release = () => {};
  const inTheMiddle = new Promise<void>((resolve) => (reached = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  let held = false;
  startCoordinators({
    onBoundary: async ({ direction, step, at }) => {
      if (held || direction !== 'a>b' || step !== 'copy' || at !== 'unrecorded') return;
      held = true;
      reached();
      await released;
    },
  });
  await dialAndLose(first(), '111', [standby(2), standby(1)]);
  await first().kill();
  try {
    await promote(standby(1));
    await follow(standby(2), standby(1));
    await inTheMiddle;
    await untilReplayed(standby(1), standby(2));
    await freezeStandby(standby(2));
    await standby(1).kill();
    await promote(standby(2));
  } finally {
    release();
  }
  await dialAll(b.owner, '222');

  const urls = { a: standby(2).url(), b: b.owner };
  await waitFor(
    async () => {
      const records = await untilFailoversDone(urls, 1);
      return records.some(({ state, timeline }) => state === 'done' && timeline === 3);
    },
    { what: 'the second promotion to be answered', deadlineMs: 60_000 },
  );
  await expectCopiesEqualOrigins([atServer(standby(2)), b]);
  await expectSameFreshest([atServer(standby(2)), b]);
  const numbers = await query(
    standby(2).url(),
    `SELECT DISTINCT last_dialed_call AS n FROM lastcall.lastcalls_a ORDER BY 1`,
  );
  expect(numbers).toEqual([{ n: '111' }]);
  const fences = await query(b.owner, 'SELECT FROM lastcall.replication_control WHERE fenced_by IS NOT NULL');
  expect(fences).toEqual([]);
});
