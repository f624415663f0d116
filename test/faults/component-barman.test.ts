import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { DEFAULT_SETTINGS } from '../../services/coordinator/settings.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { giveTo, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
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
import { type Barman, startBarman } from './barman.ts';
import { type RunningCoordinator, startCoordinator } from './coordinated-sites.ts';

let lost: PostgresServer;
let restored: PostgresServer | undefined;
let serverB: PostgresServer;
let redis: RedisServer;
let connection: RedisConnection;
let barman: Barman;
let a: SiteDatabase;
let b: SiteDatabase;
let folder: string;
let replicators: RunningReplicator[] = [];
let coordinator: RunningCoordinator | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(privateTemporaryFolder(), 'restore-'));
  await giveTo(unprivilegedUser(), folder);
  [lost, serverB, redis] = await Promise.all([startSystemPostgres(), startSystemPostgres(), startRedis()]);
  connection = await connectRedis(redis.url);
  [a, b, barman] = await Promise.all([
    makeSite('a', ['b'], siteOf(lost)),
    makeSite('b', ['a'], siteOf(serverB)),
    startBarman(lost),
  ]);
  await startReplicators();
});

afterAll(async () => {
  await coordinator?.coordinator.stop();
  await stopReplicators();
  await barman.remove();
  await connection.close();
  await Promise.all([lost.remove(), restored?.remove(), serverB.remove(), redis.remove()]);
  await rm(folder, { recursive: true, force: true });
});

async function startReplicators(): Promise<void> {
  replicators = [startReplicator(a, { b: b.replicator }), startReplicator(b, { a: a.replicator })];
}

async function stopReplicators(): Promise<void> {
  await Promise.all(replicators.map(({ replicator }) => replicator.stop()));
}

const onlyWhatIsAsked = { ...DEFAULT_SETTINGS, watchMs: 100, settleMs: 600_000 };

/** The command line at site a, with whose api away the request goes to the database. */
async function lastcall(...argv: string[]): Promise<{ exit: number; out: string; err: string }> {
  const file = join(folder, 'a.yaml');
  const config = {
    site: 'a',
    domain: 'lastcall.test',
    postgres: { url: a.app, coordinatorUrl: a.coordinator },
    redis: { url: redis.url },
    api: { listen: '127.0.0.1:1' },
    coordinator: { backupCheckCommand: barman.checkCommand },
    peers: { b: { coordinatorUrl: b.coordinator } },
  };
  await writeFile(file, stringify(config));
  return runCli([...argv, '--config', file], { env: { PATH: process.env['PATH'] ?? '' } });
}

/** A log longer than what b has read of the lost server: nothing but the missing slot tells that it is another one. */
async function writeBeyondPosition(): Promise<void> {
  const [stored] = await query(
    b.owner,
    `SELECT lsn::text FROM lastcall.replication_position WHERE peer = 'a'`,
  );
  await waitFor(
    async () => {
      await query(a.owner, 'SELECT pg_current_xact_id(), pg_switch_wal()');
      const beyond = 'SELECT FROM pg_control_system() WHERE pg_current_wal_flush_lsn() > $1::pg_lsn';
      return (await query(a.owner, beyond, [stored?.['lsn']])).length > 0;
    },
    { what: 'the log to pass the position' },
  );
}

async function backupFinding(): Promise<unknown> {
  const { out } = await lastcall('doctor', '--json');
  const { findings } = JSON.parse(out) as { findings: { check: string }[] };
  return findings.find(({ check }) => check === 'backup');
}

const dial = (url: string, first: number, last: number, number: string) =>
  query(
    url,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date)
     SELECT id, $3, clock_timestamp() FROM generate_series($1::int, $2::int) id`,
    [first, last, number],
  );

const dialed = async (url: string, number: string): Promise<number> =>
  (await query(url, 'SELECT FROM lastcall.lastcalls_a WHERE last_dialed_call = $1', [number])).length;

test('a site restored from a Barman backup gets every newer row and forget mark from its peer before it streams', async () => {
  await Promise.all(replicators.map((running) => untilStreaming(running)));
  expect(await backupFinding()).toMatchObject({
    state: 'warn',
    detail: expect.stringContaining('ended with 1'),
  });
  await dial(a.owner, 1, 500, '100');
  await dial(b.owner, 1, 100, '200');
  await barman.backup();
  expect(await backupFinding()).toMatchObject({ state: 'ok' });

  await dial(a.owner, 301, 700, '111');
  await query(a.owner, 'SELECT lastcall.forget(id) FROM generate_series(1, 10) id');
  await query(b.owner, 'SELECT lastcall.forget(id) FROM generate_series(11, 20) id');
  await dial(b.owner, 90, 120, '222');
  await expectCopiesEqualOrigins([a, b]);
  await lost.kill();
  await barman.stop();
  await stopReplicators();

  const dataDir = join(folder, 'data');
  await barman.recover(dataDir);
  restored = await startSystemPostgres({ dataDir, port: lost.port });
  expect(await dialed(a.owner, '111'), 'the backup is older').toBe(0);
  expect(await query(a.owner, 'SELECT FROM lastcall.forgotten_a')).toHaveLength(0);

  await writeBeyondPosition();
  await startReplicators();
  await waitFor(() => replicators[1]?.states.includes('needs-resync rows-only-here'), {
    what: "b's replicator to keep the rows that a lacks",
  });
  expect(replicators[1]?.states).toContain('needs-resync rolled-back');
  const sites = [a, b];
  coordinator = startCoordinator(a, sites, { connection, url: redis.url }, { settings: onlyWhatIsAsked });
  const heal = await lastcall('heal', 'a', '--wait', '--timeout', '60', '--json');
  expect(heal, heal.err).toMatchObject({ exit: 0, err: '' });
  expect(JSON.parse(heal.out)).toMatchObject({
    state: 'done',
    reason: 'restored',
    salvagedRows: 400,
    salvagedMarks: 10,
  });

  await Promise.all(replicators.map((running) => untilStreaming(running)));
  await expectCopiesEqualOrigins(sites);
  await expectSameFreshest(sites);
  expect(await dialed(a.owner, '111')).toBe(400);
  const forgotten = 'SELECT FROM lastcall.lastcalls_freshest WHERE terminal_id BETWEEN 1 AND 20';
  for (const site of sites) expect(await query(site.owner, forgotten), site.site).toHaveLength(0);
  await dial(a.owner, 1, 20, '333');
  await expectCopiesEqualOrigins(sites);
});
