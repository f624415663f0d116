import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { expectCopiesEqualOrigins, expectSameFreshest, watchReaders } from '../support/invariants.ts';
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
import { type RunningCoordinator, startCoordinator, untilFailoversDone } from './coordinated-sites.ts';
import { freezeStandby, type HaSite, promote, startHaSite, untilReplayed } from './ha-site.ts';

const TERMINALS = 1_000;
let a: HaSite;
let serverB: PostgresServer;
let serverC: PostgresServer;
let b: SiteDatabase;
let c: SiteDatabase;
let redisServer: RedisServer;
let redis: RedisConnection;
let replicators: RunningReplicator[] = [];
let coordinators: RunningCoordinator[] = [];

beforeAll(async () => {
  [a, serverB, serverC, redisServer] = await Promise.all([
    startHaSite('a', ['b', 'c']),
    startSystemPostgres(),
    startSystemPostgres(),
    startRedis(),
  ]);
  [b, c] = await Promise.all([
    makeSite('b', ['a', 'c'], siteOf(serverB)),
    makeSite('c', ['a', 'b'], siteOf(serverC)),
  ]);
  redis = await connectRedis(redisServer.url);
  const sites = [a.database, b, c];
  replicators = sites.map((own) => {
    const peers = sites.filter(({ site }) => site !== own.site);
    const urls = Object.fromEntries(peers.map(({ site, replicator }) => [site, replicator]));
    // Only the coordinators resynchronise.
    return startReplicator(own, urls, { coordinatorGraceMs: 60_000 });
  });
  await Promise.all(replicators.map((running) => untilStreaming(running)));
  coordinators = sites.map((home) =>
    startCoordinator(home, sites, { connection: redis, url: redisServer.url }),
  );
});

afterAll(async () => {
  await Promise.all(coordinators.map(({ coordinator }) => coordinator.stop()));
  await Promise.all(replicators.map(({ replicator }) => replicator.stop()));
  await redis?.close();
  await Promise.all([a?.remove(), serverB?.remove(), serverC?.remove(), redisServer?.remove()]);
});

const server = (index: 0 | 1): PostgresServer => a.servers[index] as PostgresServer;
const atServer = (one: PostgresServer): SiteDatabase => ({ ...a.database, owner: one.url() });

/** The terminals from `first` to `last` dial, in one transaction. */
const dial = (url: string, first: number, last: number, number: string) =>
  query(
    url,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date)
     SELECT id, $3, clock_timestamp() FROM generate_series($1::int, $2::int) id`,
    [first, last, number],
  );

const forget = (url: string, first: number, last: number) =>
  query(url, 'SELECT lastcall.forget(id) FROM generate_series($1::int, $2::int) id', [first, last]);

/** The direction from a to b holds still until resumed. */
async function pauseFromA(): Promise<void> {
  await query(b.app, `INSERT INTO lastcall.replication_control (peer, paused) VALUES ('a', true)`);
  const fromA = replicators[1]?.replicator.directions.find(({ from }) => from === 'a');
  await waitFor(() => fromA?.reason === 'paused', { what: 'the pause' });
}
const resumeFromA = () =>
  query(b.app, `UPDATE lastcall.replication_control SET paused = false WHERE peer = 'a'`);

const dialled = async (url: string, number: string): Promise<number> =>
  (await query(url, 'SELECT FROM lastcall.lastcalls_a WHERE last_dialed_call = $1', [number])).length;

/** What changes when a copy is made anew. */
const generations = async (sites: readonly SiteDatabase[]): Promise<Record<string, number>> => {
  const rows = await Promise.all(
    sites.map(async ({ site, owner }) =>
      (
        await query<{ peer: string; generation: number }>(
          owner,
          'SELECT peer, generation::int FROM lastcall.replication_position',
        )
      ).map(({ peer, generation }) => [`${peer}>${site}`, generation] as const),
    ),
  );
  return Object.fromEntries(rows.flat());
};

test('rules 21 and 25 of three sites one is promoted behind: what either peer still held is everywhere, forgotten stays forgotten, and the pair that lost nothing goes on', async () => {
  const [primary, standby] = [server(0), server(1)];
  await dial(primary.url(), 1, TERMINALS, '100');
  await dial(b.owner, 1, TERMINALS, '200');
  await dial(c.owner, 1, TERMINALS, '300');
  await expectCopiesEqualOrigins([atServer(primary), b, c]);
  await untilReplayed(primary, standby);
  await freezeStandby(standby);

  // The standby will have neither: 111 and ten marks reach both peers, 112 and ten other marks c alone.
  await dial(primary.url(), 1, 300, '111');
  await forget(primary.url(), 1, 10);
  await forget(b.owner, 501, 505);
  await expectCopiesEqualOrigins([atServer(primary), b, c]);
  await pauseFromA();
  await dial(primary.url(), 201, 400, '112');
  await forget(primary.url(), 391, 400);
  await waitFor(async () => (await dialled(c.owner, '112')) === 190, { what: 'c to have what b lacks' });
  const before = await generations([b, c]);
  await primary.kill();
  await resumeFromA();
  const readers = [b, c].map((site) => watchReaders(site, 'lastcalls_freshest'));
  await promote(standby);
  expect(await dialled(standby.url(), '100'), 'what the promoted server has').toBe(TERMINALS);
  expect(await dialled(b.owner, '112'), 'what b has of the last writes').toBe(0);

  const urls = { a: standby.url(), b: b.owner, c: c.owner };
  const records = await untilFailoversDone(urls, 1, 60_000);
  await dial(standby.url(), 900, 910, '114');
  await dial(b.owner, 911, 920, '214');
  const sites = [atServer(standby), b, c];
  await waitFor(
    () =>
      replicators.every(({ replicator }) =>
        replicator.directions.every(({ state }) => state === 'streaming'),
      ),
    { what: 'all six directions to stream' },
  );
  await expectCopiesEqualOrigins(sites);
  await expectSameFreshest(sites);

  expect(records.filter(({ state }) => state === 'done')).toMatchObject([
    { site: 'a', reason: 'timeline-changed' },
  ]);
  for (const { owner } of sites) {
    const found = { 111: await dialled(owner, '111'), 112: await dialled(owner, '112') };
    expect(found).toEqual({ 111: 190, 112: 190 });
    const forgotten = await query(
      owner,
      `SELECT terminal_id FROM lastcall.lastcalls_freshest WHERE terminal_id BETWEEN 1 AND 10
         OR terminal_id BETWEEN 391 AND 400 OR terminal_id BETWEEN 501 AND 505`,
    );
    expect(forgotten, 'I3 forgotten everywhere').toEqual([]);
  }
  const after = await generations([b, c]);
  const anew = Object.keys(after).filter((direction) => after[direction] !== before[direction]);
  expect(anew.sort(), 'directions made anew').toEqual(['a>b', 'a>c']);
  for (const reader of readers) {
    const { fewestRows, longestWaitMs } = await reader.stop();
    expect(fewestRows, 'I6 rows that a reader saw').toBeGreaterThanOrEqual(TERMINALS - 25);
    expect(longestWaitMs, 'I6 milliseconds that a reader waited').toBeLessThan(100);
  }
});
