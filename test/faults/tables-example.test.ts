import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';
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
import { type RunningCoordinator, startCoordinator, untilFailoversDone } from './coordinated-sites.ts';
import { freezeStandby, type HaSite, promote, startHaSite, untilReplayed } from './ha-site.ts';

/** The worked example of docs/tables.md, as the operator types it. */
let a: HaSite;
let serverB: PostgresServer;
let serverC: PostgresServer;
let sites: SiteDatabase[];
let redisServer: RedisServer;
let redis: RedisConnection;
let replicators: RunningReplicator[] = [];
let coordinators: RunningCoordinator[] = [];
const folder = mkdtempSync(join(tmpdir(), 'lastcall-tables-'));

beforeAll(async () => {
  [a, serverB, serverC, redisServer] = await Promise.all([
    startHaSite('a', ['b', 'c']),
    startSystemPostgres(),
    startSystemPostgres(),
    startRedis(),
  ]);
  const [b, c] = await Promise.all([
    makeSite('b', ['a', 'c'], siteOf(serverB)),
    makeSite('c', ['a', 'b'], siteOf(serverC)),
  ]);
  sites = [a.database, b, c];
  for (const site of sites) writeFileSync(configFile(site.site), config(site));
  redis = await connectRedis(redisServer.url);
  replicators = sites.map((own) => startReplicator(own, urlsBeside(own), { coordinatorGraceMs: 60_000 }));
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

const configFile = (site: string) => join(folder, `${site}.yaml`);
const urlsBeside = ({ site }: SiteDatabase) =>
  Object.fromEntries(sites.filter((each) => each.site !== site).map((each) => [each.site, each.replicator]));
const config = ({ site, app, replicator, coordinator, owner }: SiteDatabase) =>
  stringify({
    site,
    domain: 'lastcall.test',
    postgres: { url: app, replicatorUrl: replicator, coordinatorUrl: coordinator, ownerUrl: owner },
    redis: { url: 'redis://127.0.0.1:1' },
    api: { listen: '127.0.0.1:1', tokens: [] },
    peers: Object.fromEntries(
      sites
        .filter((each) => each.site !== site)
        .map((each) => [each.site, { replicatorUrl: each.replicator, coordinatorUrl: each.coordinator }]),
    ),
  });

const lastcall = async (site: string, line: readonly string[], exit = 0) => {
  const run = await runCli([...line, '--config', configFile(site)]);
  expect(run.exit, `${line.join(' ')}: ${run.out}${run.err}`).toBe(exit);
  return run;
};
/** The command as docs/tables.md shows it. */
const ADD = [
  'tables',
  'add',
  'forwardings',
  '--key',
  'terminal_id:bigint',
  '--group',
  'forward:forwarded_at(forward_to:text,rings:integer)',
  '--value',
  'forward_to',
  '--follows',
  'terminals',
];
/** Which server of site a takes writes. */
let primaryOfA = 0;
const at = (site: string): { readonly app: string; readonly owner: string } => {
  const server = { a: a.servers[primaryOfA], b: serverB, c: serverC }[site];
  if (!server) throw new Error(`no site ${site}`);
  return { app: server.url('postgres', 'lastcall_app', 'lastcall-test'), owner: server.url() };
};
const forward = (site: string, first: number, last: number, to: string) =>
  query(
    at(site).app,
    `INSERT INTO lastcall.forwardings (terminal_id, forward_to) SELECT id, $3 FROM generate_series($1::int, $2::int) id`,
    [first, last, to],
  );
const forwardedTo = async (site: string, to: string): Promise<number> =>
  (await query(at(site).app, 'SELECT FROM lastcall.forwardings_freshest WHERE forward_to = $1', [to])).length;
const untilEverywhere = (to: string, rows: number) =>
  waitFor(
    async () => {
      for (const { site } of sites) expect(await forwardedTo(site, to), `${to} at ${site}`).toBe(rows);
      return true;
    },
    { what: `${rows} rows ${to} everywhere`, deadlineMs: 60_000 },
  );
const compareIsEqual = async () => {
  const run = await lastcall('b', ['compare', '--json']);
  const { equal, tables } = JSON.parse(run.out);
  expect(equal).toBe(true);
  expect(tables.filter(({ table }: { table: string }) => table.startsWith('forwardings_'))).toHaveLength(6);
};

test('docs/tables.md shows the commands that are tried here', () => {
  const page = readFileSync(join(packageRoot(), 'docs/tables.md'), 'utf8').replaceAll(/\\\n\s*/g, '');
  expect(page.replaceAll("'", '')).toContain(`lastcall ${ADD.join(' ')}`);
});

test('a table that a site does not know yet is flagged waiting-for-peer, and what was written meanwhile comes as soon as it does', async () => {
  for (const site of ['a', 'b']) await lastcall(site, ADD);
  await forward('a', 1, 10, '111');
  const flagged = await waitFor(
    async () => {
      const run = await runCli(['status', '--json', '--config', configFile('a')]);
      const { directions } = JSON.parse(run.out);
      const fromC = directions.find(
        ({ from, to }: { from: string; to: string }) => from === 'c' && to === 'a',
      );
      expect(fromC.kinds).toMatchObject([
        { kind: 'forwardings', state: 'held-back', reason: 'waiting-for-peer' },
      ]);
      expect(fromC.state).toBe('streaming');
      return run;
    },
    { what: 'the flag' },
  );
  expect(flagged.exit).toBe(3);
  await query(
    at('c').app,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (1, '900')`,
  );
  await waitFor(
    async () =>
      (await query(at('a').app, `SELECT FROM lastcall.lastcalls_c WHERE last_dialed_call = '900'`)).length,
    { what: 'the other tables to go on' },
  );

  const { out } = await lastcall('a', ['tables', 'show', 'forwardings', '--json']);
  const file = join(folder, 'forwardings.json');
  writeFileSync(file, out);
  await lastcall('c', ['tables', 'add', '--file', file]);
  await untilEverywhere('111', 10);
  const same = await lastcall('c', ['tables', 'show', 'forwardings', '--json']);
  expect(JSON.parse(same.out).description).toEqual(JSON.parse(out).description);
  await waitFor(async () => (await runCli(['status', '--config', configFile('a')])).exit === 0, {
    what: 'all to be well',
  });
  await compareIsEqual();
});

test('the freshest counts at all three sites, and a DELETE at one reaches all', async () => {
  await forward('b', 1, 5, '222');
  await untilEverywhere('222', 5);
  await query(at('c').app, 'DELETE FROM lastcall.forwardings WHERE terminal_id BETWEEN 1 AND 2');
  await untilEverywhere('222', 3);
  await untilEverywhere('111', 5);
  await compareIsEqual();
});

test('rule 21 a failover keeps what the promoted server never had, and what was forgotten stays so', async () => {
  const [primary, standby] = a.servers as [PostgresServer, PostgresServer];
  await untilReplayed(primary, standby);
  await freezeStandby(standby);
  await forward('a', 100, 119, '333');
  await untilEverywhere('333', 20);
  await query(at('b').app, 'DELETE FROM lastcall.forwardings WHERE terminal_id BETWEEN 100 AND 104');
  await untilEverywhere('333', 15);
  await primary.kill();
  await promote(standby);
  primaryOfA = 1;
  await untilFailoversDone({ a: standby.url(), b: at('b').owner, c: at('c').owner }, 1, 60_000);
  await Promise.all(replicators.map((running) => untilStreaming(running, 30_000)));
  await untilEverywhere('333', 15);
  await forward('a', 200, 204, '444');
  await untilEverywhere('444', 5);
  await compareIsEqual();
});

test('I6 a resynchronisation copies it anew, and compare is equal', async () => {
  await query(
    at('b').owner,
    `UPDATE lastcall.forwardings_a SET forward_to = 'forged' WHERE terminal_id = 200`,
  );
  const before = replicators[1]?.states.length ?? 0;
  await lastcall('b', ['resync', 'a', 'b']);
  await waitFor(() => replicators[1]?.states.slice(before).includes('resyncing operator'), {
    what: 'the resync',
  });
  await Promise.all(replicators.map((running) => untilStreaming(running)));
  await untilEverywhere('444', 5);
  await compareIsEqual();
});

test('a site that is gone is removed, with its slot and its vote on marks, but never one that still reads', async () => {
  const refused = await lastcall('a', ['sites', 'remove', 'c'], 1);
  expect(refused.err).toContain('"lastcall_c" is active');
  await coordinators.pop()?.coordinator.stop();
  await replicators.pop()?.replicator.stop();
  sites = sites.slice(0, 2);
  for (const [index, own] of sites.entries()) replicators[index]?.replicator.setPeers(urlsBeside(own));
  await waitFor(async () => {
    const run = await runCli(['sites', 'remove', 'c', '--config', configFile('a')]);
    return run.exit === 0;
  });
  expect((await lastcall('a', ['sites', 'list', '--json'])).out).not.toContain('"c"');
  expect(
    await query(
      at('a').owner,
      `SELECT relname FROM pg_class WHERE relname IN ('forwardings_c', 'lastcalls_c')
      UNION ALL SELECT slot_name FROM pg_replication_slots WHERE slot_name = 'lastcall_c'`,
    ),
  ).toEqual([]);
  expect((await lastcall('a', ['sites', 'remove', 'c'], 1)).err).toContain('SITE_UNKNOWN');
  await forward('b', 300, 301, '555');
  await untilEverywhere('555', 2);
});

test('a table with rows is removed only when they may go', async () => {
  expect((await lastcall('a', ['tables', 'remove', 'forwardings'], 1)).err).toContain('--with-rows');
  for (const site of ['a', 'b']) await lastcall(site, ['tables', 'remove', 'forwardings', '--with-rows']);
  expect((await lastcall('a', ['tables', 'show', 'forwardings'], 1)).err).toContain('TABLE_UNKNOWN');
  expect((await lastcall('a', ['tables', 'remove', 'lastcalls', '--with-rows'], 1)).err).toContain(
    'INVALID_VALUE',
  );
  await Promise.all(replicators.map((running) => untilStreaming(running)));
});
