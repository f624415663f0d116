import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DEFAULT_SETTINGS } from '../../services/coordinator/settings.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
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
import { type RunningCoordinator, startCoordinator } from './coordinated-sites.ts';
import { freezeStandby, type HaSite, promote, startHaSite, untilReplayed } from './ha-site.ts';

let a: HaSite;
let serverB: PostgresServer;
let b: SiteDatabase;
let redisServer: RedisServer;
let redis: RedisConnection;
let replicators: RunningReplicator[] = [];
const coordinators: RunningCoordinator[] = [];

beforeEach(async () => {
  [a, serverB, redisServer] = await Promise.all([
    startHaSite('a', ['b']),
    startSystemPostgres(),
    startRedis(),
  ]);
  b = await makeSite('b', ['a'], siteOf(serverB));
  redis = await connectRedis(redisServer.url);
  replicators = [
    startReplicator(a.database, { b: b.replicator }, { coordinatorGraceMs: 60_000 }),
    startReplicator(b, { a: a.database.replicator }, { coordinatorGraceMs: 60_000 }),
  ];
  await Promise.all(replicators.map((running) => untilStreaming(running)));
});

afterEach(async () => {
  await Promise.all(coordinators.splice(0).map(({ coordinator }) => coordinator.stop()));
  await Promise.all(replicators.splice(0).map(({ replicator }) => replicator.stop()));
  await redis.close();
  await Promise.all([a.remove(), serverB.remove(), redisServer.remove()]);
});

const old = () => a.servers[0] as PostgresServer;
const promoted = () => a.servers[1] as PostgresServer;
const at = (server: PostgresServer): SiteDatabase => ({ ...a.database, owner: server.url() });
const appAt = (server: PostgresServer) => server.url('postgres', 'lastcall_app', 'lastcall-test');
const dial = (url: string, id: number, number: string) =>
  query(
    url,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, $2, clock_timestamp())`,
    [id, number],
  );
const numberOf = async (url: string, id: number) =>
  (
    await query<{ n: string | null }>(
      url,
      'SELECT last_dialed_call AS n FROM lastcall.lastcalls_a WHERE terminal_id = $1',
      [id],
    )
  )[0]?.n ?? null;

const coordinate = (home: SiteDatabase, options: Parameters<typeof startCoordinator>[3] = {}) => {
  const running = startCoordinator(
    home,
    [a.database, b],
    { connection: redis, url: redisServer.url },
    options,
  );
  coordinators.push(running);
  return running;
};
const told = (running: RunningCoordinator) => running.events.map(({ event }) => event as string);

test('rule 28 what an old primary took after the promotion stands at the new one: it is fenced, salvaged while it lives, then stopped', async () => {
  await dial(appAt(old()), 1, '100');
  await dial(appAt(old()), 4, '400');
  await untilReplayed(old(), promoted());
  await freezeStandby(promoted());
  await promote(promoted());
  // Phones, a PBX and a provisioning script that still hold connections to the old one.
  await dial(appAt(old()), 2, '222');
  await query(appAt(old()), `SELECT lastcall.forget(4, 'all')`);
  const stopped = join(old().dataDir, 'stopped-by-the-operators-command');
  const coordinator = coordinate(a.database, {
    settings: {
      ...DEFAULT_SETTINGS,
      watchMs: 100,
      settleMs: 300,
      barrierTimeoutMs: 15_000,
      fenceCommand: `echo {host} {port} > ${stopped}`,
    },
  });

  await waitFor(async () => (await numberOf(promoted().url(), 2)) === '222', {
    what: 'the record to stand at the new primary',
    deadlineMs: 60_000,
  });
  await expect(dial(appAt(old()), 3, '333'), 'the old one takes nothing more').rejects.toThrow(
    'permission denied',
  );
  await waitFor(
    async () => (await readFile(stopped, 'utf8').catch(() => '')) === `127.0.0.1 ${old().port}\n`,
    {
      what: 'the fenceCommand, once all is salvaged',
    },
  );
  expect(await numberOf(promoted().url(), 4), 'C9 what was forgotten there').toBe(null);
  await waitFor(
    () => ['two-primaries', 'primary-fenced', 'salvaged'].every((event) => told(coordinator).includes(event)),
    {
      what: 'everything to be told',
    },
  );
  await expectCopiesEqualOrigins([at(promoted()), b], 30_000);
  expect(
    await query(old().url(), `SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'lastcall%'`),
  ).toEqual([]);
  // The newest server can never be fenced, whoever asks.
  await expect(query(promoted().url(), 'SELECT lastcall.fence(2)')).rejects.toThrow('was not left behind');
  await old().stop('immediate');
  await waitFor(() => told(coordinator).includes('one-primary'), { what: 'the end of the trouble' });
});

test('rule 28 with the new primary away nobody believes the old one: what the peers hold tells of the promotion', async () => {
  await dial(appAt(old()), 1, '100');
  await untilReplayed(old(), promoted());
  await promote(promoted());
  const first = coordinate(b);
  await waitFor(
    async () =>
      (
        await query(
          b.owner,
          `SELECT FROM lastcall.replication_position WHERE peer = 'a' AND timeline = 2 AND lsn > '0/0'`,
        )
      ).length === 1,
    { what: 'the copy to be of the new primary', deadlineMs: 60_000 },
  );
  await first.coordinator.stop();
  coordinators.pop();
  await promoted().stop('immediate');
  await redis.client.flushall();
  // Started anew, with a memory of nothing but what stands in the databases.
  const second = coordinate(b);
  const view = await waitFor(
    () => {
      const seen = second.coordinator.observations?.get('a')?.view;
      return seen && !seen.reachable && seen.reason.includes('timeline') ? seen : null;
    },
    { what: 'the refusal of the old primary' },
  );
  expect(view.reason).toContain('on timeline 1, and 2 was seen');
  await waitFor(() => told(second).includes('two-primaries'), { what: 'the alarm' });
  await waitFor(
    async () =>
      await dial(appAt(old()), 9, '9').then(
        () => false,
        () => true,
      ),
    { what: 'the fence' },
  );
});
