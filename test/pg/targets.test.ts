import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type MariadbServer, startMariadb } from '../support/mariadb.ts';
import { type PostgresServer, startPostgres, withClient } from '../support/postgres.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  startReplicator,
  untilStreaming,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCli } from '../unit/cli/run-cli.ts';

let server: PostgresServer;
let mariadb: MariadbServer;
let a: SiteDatabase;
let b: SiteDatabase;
let atA: RunningReplicator;
let atB: RunningReplicator;
const folder = mkdtempSync(join(tmpdir(), 'lastcall-targets-'));
const file = join(folder, 'a.yaml');

beforeAll(async () => {
  [server, mariadb] = await Promise.all([startPostgres(), startMariadb()]);
  for (const name of ['site_a', 'site_b', 'billing']) await server.createDatabase(name);
  a = await makeSite('a', ['b'], (user, password) => server.url('site_a', user, password));
  b = await makeSite('b', ['a'], (user, password) => server.url('site_b', user, password));
  const { app, replicator, coordinator, owner } = a;
  writeFileSync(
    file,
    stringify({
      site: 'a',
      domain: 'lastcall.test',
      postgres: { url: app, replicatorUrl: replicator, coordinatorUrl: coordinator, ownerUrl: owner },
      redis: { url: 'redis://127.0.0.1:1' },
      peers: { b: { replicatorUrl: b.replicator, coordinatorUrl: b.coordinator } },
    }),
  );
  atA = startReplicator(a, { b: b.replicator });
  atB = startReplicator(b, { a: a.replicator });
  await Promise.all([atA, atB].map((one) => untilStreaming(one)));
  for (const { owner: url } of [a, b])
    await query(
      url,
      `SELECT lastcall.define_kind('switches', 'terminal_id bigint, reason text, active boolean, level double precision, set_at timestamptz(6)',
         '{terminal_id, reason}', '[{"name": "set", "date": "set_at", "columns": ["active", "level"]}]',
         follows => 'terminals', follows_by => 'terminal_id', row_filter => 'terminal_id < 900')`,
    );
  await query(a.app, DIAL, [1, 300, '100']);
});

afterAll(async () => {
  await Promise.all([atA, atB].map((one) => one?.replicator.stop()));
  await Promise.all([server?.remove(), mariadb?.remove()]);
});

const DIAL = `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) SELECT id, $3 FROM generate_series($1::int, $2::int) id`;
const lastcall = async (...line: string[]) => runCli([...line, '--config', file]);
const stateOf = (target: string) => atA.replicator.targets.find((each) => each.target === target);
const untilState = (target: string, state: string, reason: string | null = null) =>
  waitFor(
    () => {
      const now = stateOf(target);
      if (now?.state === state && now.reason === reason) return true;
      throw new Error(JSON.stringify(now, (_, value) => (typeof value === 'bigint' ? String(value) : value)));
    },
    { what: `${target} to be ${state} ${reason}`, deadlineMs: 60_000 },
  );

interface Engine {
  /** A terminal of its own, which is removed. */
  readonly terminal: number;
  readonly target: string;
  url(): string;
  rows(sql: string): Promise<Record<string, unknown>[]>;
}
const MARIADB: Engine = {
  target: 'billing',
  terminal: 400,
  url: () => mariadb.url,
  rows: (sql) => mariadb.query(sql),
};
const POSTGRES: Engine = {
  target: 'reports',
  terminal: 401,
  url: () => server.url('billing'),
  rows: (sql) => withClient(server.url('billing'), async (client) => (await client.query(sql)).rows),
};

const compared = async (target: string) => {
  const run = await lastcall('targets', 'compare', target, '--json');
  return JSON.parse(run.out) as {
    equal: boolean;
    tables: { table: string; rows: number; differing: number }[];
  };
};
const untilCaughtUp = async (engine: Engine, number: string, rows: number) =>
  waitFor(
    async () => {
      const found = await engine.rows(
        `SELECT count(*) AS n FROM lastcalls WHERE last_dialed_call = '${number}'`,
      );
      expect(Number(found[0]?.['n'])).toBe(rows);
      return true;
    },
    { what: `${rows} rows ${number} in ${engine.target}`, deadlineMs: 60_000 },
  );

describe.each([MARIADB, POSTGRES])('a target: $target', (engine) => {
  const { target, terminal } = engine;

  test('is filled with what is there, and then told of every change of either site', async () => {
    const added = await lastcall(
      'targets',
      'add',
      target,
      engine.url(),
      '--table',
      'lastcalls',
      '--table',
      'switches',
    );
    expect(added).toMatchObject({ exit: 0, err: '' });
    expect(added.out).not.toContain('pw');
    const [logged] = await query(
      a.owner,
      `SELECT count(*)::int AS n FROM lastcall.audit_log l WHERE l::text LIKE '%pw%'`,
    );
    expect(logged).toEqual({ n: 0 });
    await untilState(target, 'streaming');
    await query(b.app, DIAL, [1, 300, '100']);
    await untilCaughtUp(engine, '100', 300);
    await query(b.app, DIAL, [10, 19, '200']);
    await untilCaughtUp(engine, '200', 10);
    const [row] = await engine.rows('SELECT dialed_site FROM lastcalls WHERE terminal_id = 10');
    expect(row).toEqual({ dialed_site: 'b' });
    await query(
      a.app,
      `INSERT INTO lastcall.switches (terminal_id, reason, active, level, set_at)
       VALUES ($1, 'Büro ', true, 0.1, '2026-01-01 00:00:00.123456Z'), ($1, 'büro', false, NULL, '2026-01-01'), (901, 'x', true, 1, NULL)`,
      [terminal],
    );
    await waitFor(async () => (await engine.rows('SELECT reason FROM switches')).length === 2, {
      what: 'the rows of two keys, without what does not leave the site',
    });
    expect(await compared(target)).toMatchObject({
      equal: true,
      tables: [
        { table: 'lastcalls', rows: 300 },
        { table: 'switches', rows: 2 },
      ],
    });
  });

  test('S3 loses what is forgotten anywhere, and what a removed terminal takes along', async () => {
    await query(b.app, 'DELETE FROM lastcall.lastcalls WHERE terminal_id BETWEEN 10 AND 14');
    await untilCaughtUp(engine, '200', 5);
    await query(
      b.app,
      `INSERT INTO lastcall.terminals (terminal_id, username, aor, number) VALUES ($1::bigint, 'u' || $1::bigint, 'sip:' || $1::bigint, $1::bigint)`,
      [terminal],
    );
    await query(
      a.app,
      `INSERT INTO lastcall.switches (terminal_id, reason, active) VALUES ($1, 'new', true)`,
      [terminal],
    );
    await query(a.app, DIAL, [terminal, terminal, 'gone']);
    await untilCaughtUp(engine, 'gone', 1);
    await query(b.app, 'DELETE FROM lastcall.terminals WHERE terminal_id = $1', [terminal]);
    await waitFor(async () => (await engine.rows('SELECT reason FROM switches')).length === 0, {
      what: 'the removal',
    });
    await untilCaughtUp(engine, 'gone', 0);
    expect((await compared(target)).equal).toBe(true);
  });

  test('compare names a row that somebody changed there, and a resync makes it equal', async () => {
    await engine.rows(`UPDATE lastcalls SET last_dialed_call = 'forged' WHERE terminal_id = 20`);
    await engine.rows('DELETE FROM lastcalls WHERE terminal_id = 21');
    await engine.rows(`INSERT INTO lastcalls (terminal_id, last_dialed_call) VALUES (7777, 'invented')`);
    const run = await lastcall('targets', 'compare', target, '--json');
    expect(run.exit).toBe(3);
    const [first] = JSON.parse(run.out).tables;
    expect([...first.differingKeys].sort()).toEqual(['20', '21', '7777']);
    expect((await lastcall('targets', 'resync', target)).exit).toBe(0);
    await waitFor(async () => (await compared(target)).equal, { what: 'it to be equal', deadlineMs: 60_000 });
  });

  test('rule 36 a copy that was made anew is made anew there, with the rest going on', async () => {
    await query(
      a.owner,
      `UPDATE lastcall.lastcalls_b SET last_dialed_call = 'forged', last_dialed_date = last_dialed_date + interval '1 s' WHERE terminal_id = 16`,
    );
    await untilCaughtUp(engine, 'forged', 1);
    await query(
      a.app,
      `INSERT INTO lastcall.replication_control (peer, resync_requested_at, resync_reason) VALUES ('b', clock_timestamp(), 'operator')
       ON CONFLICT (peer) DO UPDATE SET resync_requested_at = excluded.resync_requested_at, resync_reason = excluded.resync_reason`,
    );
    await untilCaughtUp(engine, 'forged', 0);
    await untilCaughtUp(engine, '200', 5);
    expect((await compared(target)).equal).toBe(true);
  });
});

test('a target that is removed is fed no more, keeps its rows and leaves no slot', async () => {
  const { target } = POSTGRES;
  expect((await lastcall('targets', 'remove', target)).exit).toBe(0);
  await waitFor(
    async () =>
      (await query(a.owner, `SELECT FROM pg_replication_slots WHERE slot_name = 'lastcall__${target}'`))
        .length === 0,
    { what: 'the slot to go' },
  );
  expect((await POSTGRES.rows('SELECT terminal_id FROM lastcalls')).length).toBeGreaterThan(200);
  expect((await lastcall('targets', 'show', target)).err).toContain('TARGET_UNKNOWN');
});

test('I1 under a load with the target killed in the middle, it is equal afterwards, without a resync', async () => {
  await untilState('billing', 'streaming');
  const write = async (from: number, to: number) => {
    for (let round = from; round < to; round++) {
      await query(round % 2 ? a.app : b.app, DIAL, [1, 200, `load-${round}`]);
      await query(round % 2 ? b.app : a.app, 'DELETE FROM lastcall.lastcalls WHERE terminal_id = $1', [
        round + 1,
      ]);
    }
  };
  const generation = async () =>
    JSON.parse(
      (await mariadb.query<{ saved: string }>('SELECT saved FROM lastcall_position'))[0]?.saved ?? '{}',
    ).generation;
  const before = await generation();
  await write(0, 10);
  await mariadb.kill();
  await write(10, 20);
  await untilState('billing', 'stopped', 'target-unreachable');
  expect((await lastcall('targets', 'list')).exit).toBe(3);
  await mariadb.start();
  await write(20, 30);
  await untilState('billing', 'streaming');
  await waitFor(async () => (await compared('billing')).equal, {
    what: 'it to be equal',
    deadlineMs: 60_000,
  });
  expect(await generation(), 'resynchronisations').toBe(before);
});

test('rule 7 two processes feed no target at once: the earlier one saves nothing more', async () => {
  const { openSink } = await import('../../shared/targets/open-sink.ts');
  const [first, second] = [await openSink(mariadb.url), await openSink(mariadb.url)];
  const position = await first.takeOver();
  await second.takeOver();
  if (!position) throw new Error('no position');
  await first.begin();
  await expect(first.savePosition(position)).rejects.toThrow('another process feeds this target now');
  await first.rollback();
  await Promise.all([first.close(), second.close()]);
});

test.each([
  [['targets', 'add', 'x', 'oracle://h/d'], 1, 'a target is a URL such as mariadb://'],
  [['targets', 'add', 'x', 'mariadb://u:secret@127.0.0.1:1/d'], 1, 'TARGET_UNREACHABLE'],
  [['targets', 'add', 'x', 'mariadb://h/d', '--table', 'nothing'], 1, 'TABLE_UNKNOWN'],
  [['targets', 'remove', 'nothing'], 1, 'TARGET_UNKNOWN'],
])('%j says what is wrong, and no password', async (line, exit, said) => {
  const run = await lastcall(...line);
  expect(run.exit).toBe(exit);
  expect(run.err).toContain(said);
  expect(run.err).not.toContain('secret');
});

test('rule 17 a target that stays away keeps no more WAL than the budget, and is filled anew when it is back', async () => {
  await atA.replicator.stop();
  atA = startReplicator(a, { b: b.replicator }, { slotBudgetBytes: 1_048_576 });
  await untilState('billing', 'streaming');
  await mariadb.kill();
  await untilState('billing', 'stopped', 'target-unreachable');
  const slotOf = async () =>
    query(a.owner, `SELECT FROM pg_replication_slots WHERE slot_name = 'lastcall__billing'`);
  const write = async () => {
    await query(a.app, DIAL, [1, 2_000, 'away']);
    return (await slotOf()).length === 0;
  };
  await waitFor(write, { what: 'its slot to be dropped', deadlineMs: 60_000 });
  const status = await lastcall('status');
  expect([status.exit, status.out]).toEqual([
    3,
    expect.stringMatching(/billing .*stopped +target-unreachable/),
  ]);
  await mariadb.start();
  await untilState('billing', 'streaming');
  await waitFor(async () => (await compared('billing')).equal, {
    what: 'it to be equal',
    deadlineMs: 60_000,
  });
});
