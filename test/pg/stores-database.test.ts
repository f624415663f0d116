import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Database, type DatabaseState } from '../../shared/postgres/database.ts';
import { findPrimary, hostLabel, hostUrls } from '../../shared/postgres/find-primary.ts';
import { elapsedMs } from '../support/elapsed.ts';
import { type PostgresServer, startPostgres, withClient } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';

/** Two servers for all tests; each test finds them running, whatever the one before did to them. */
let first: PostgresServer;
let second: PostgresServer;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  [first, second] = await Promise.all([startPostgres(), startPostgres()]);
});
beforeEach(() => Promise.all([first.start(), second.start()]));
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(() => Promise.all([first.remove(), second.remove()]));

/** One URL that names all of them. */
const urlOf = (...servers: readonly PostgresServer[]): string => {
  const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return first.url().replace(/127\.0\.0\.1:\d+/, hosts);
};
function open(url: string, options: { maxConnections?: number; connectTimeoutMs?: number } = {}) {
  const states: (DatabaseState & { attempt: number })[] = [];
  const database = new Database({
    url,
    applicationName: 'stores-test',
    connectTimeoutMs: 1_000,
    ...options,
    onState: (state) => states.push(state),
  });
  closing.push(() => database.close());
  return { database, states };
}
const up = (database: Database) =>
  waitFor(() => database.state.state === 'up', { what: 'the database to be up' });
const down = (database: Database) =>
  waitFor(() => database.state.state === 'down', { what: 'the loss to be noticed' });
const one = async (database: Database, budgetMs?: number): Promise<unknown> =>
  (await database.query<{ one: number }>('SELECT 1 AS one', [], budgetMs))[0]?.one;

describe('Database', () => {
  it('plans a statement once a connection, and answers on after a column has changed its type', async () => {
    const { database } = open(first.url(), { maxConnections: 1 });
    await database.start();
    await database.query('CREATE TABLE planned AS SELECT 1 AS value');
    const read = () => database.query<{ value: unknown }>('SELECT value FROM planned WHERE $1::int = 1', [1]);
    for (let i = 0; i < 3; i++) expect(await read()).toEqual([{ value: 1 }]);
    const plans = await database.query<{ plans: number }>(
      `SELECT (generic_plans + custom_plans)::int AS plans FROM pg_prepared_statements
       WHERE name <> '' AND statement LIKE 'SELECT value FROM planned%'`,
    );
    expect(plans).toEqual([{ plans: 3 }]);
    await withClient(first.url(), (client) =>
      client.query('ALTER TABLE planned ALTER value TYPE text USING value::text'),
    );
    for (let i = 0; i < 2; i++) expect(await read()).toEqual([{ value: '1' }]);
    await database.query('DROP TABLE planned');
  });

  it('fails at once while it searches, says why, and is up when the server is', async () => {
    await first.stop();
    const { database, states } = open(first.url());
    const started = database.start();
    await waitFor(() => states.length > 2, { what: 'some attempts' });
    const took = await elapsedMs(() =>
      expect(one(database)).rejects.toMatchObject({
        code: 'DATABASE_UNREACHABLE',
        details: { host: `127.0.0.1:${first.port}` },
      }),
    );
    expect(took).toBeLessThan(250);
    expect(states.map((state) => state.attempt)).toEqual(states.map((_, index) => index + 1));
    await first.start();
    await started;
    expect(await one(database)).toBe(1);
  });

  it('reads timestamps in microseconds and bigints as numbers', async () => {
    const { database } = open(first.url());
    await database.start();
    const rows = await database.query(
      `SELECT '2026-11-21 03:47:00.123456+00'::timestamptz AS at, 9007199254740991::bigint AS id, 'infinity'::timestamptz AS never`,
    );
    expect(rows).toEqual([
      { at: 1_795_232_820_123_456, id: Number.MAX_SAFE_INTEGER, never: Number.POSITIVE_INFINITY },
    ]);
  });

  it('a server that dies under a running statement fails that statement, not the process, and is taken up again', async () => {
    const { database } = open(first.url());
    await database.start();
    const sleeping = expect(database.query('SELECT pg_sleep(30)')).rejects.toMatchObject({
      code: 'DATABASE_UNREACHABLE',
    });
    await waitFor(
      async () =>
        (await database.query(`SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'`)).length > 0,
    );
    await first.kill();
    await sleeping;
    await down(database);
    await first.start();
    await up(database);
    expect(await one(database)).toBe(1);
  });

  it('one connection cut by an administrator costs its own statement only', async () => {
    const { database, states } = open(first.url());
    await database.start();
    const sleeping = expect(database.query(`SELECT pg_sleep(30), 'cut'`)).rejects.toMatchObject({
      code: 'DATABASE_UNREACHABLE',
    });
    const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%cut%' AND pid <> pg_backend_pid()`;
    await waitFor(async () => (await database.query(cut)).length > 0);
    await sleeping;
    for (let n = 0; n < 20; n++) expect(await one(database)).toBe(1);
    // Idle ones too, as a proxy in between does it.
    await Promise.all([1, 2, 3].map(() => one(database)));
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stores-test' AND pid <> pg_backend_pid()`,
    );
    for (let n = 0; n < 20; n++)
      await one(database).catch((error) => expect(error).toMatchObject({ code: 'DATABASE_UNREACHABLE' }));
    await waitFor(() => one(database));
    expect(states.map((state) => state.state)).toEqual(['up']);
  });

  it('follows to the other host when the first is gone', async () => {
    const { database } = open(urlOf(first, second));
    await first.stop();
    await database.start();
    expect(database.state).toEqual({ state: 'up', host: `127.0.0.1:${second.port}` });
    await first.start();
    await second.stop('immediate');
    await waitFor(() => one(database), { what: 'an answer from the first host' });
    expect(database.state.host).toBe(`127.0.0.1:${first.port}`);
  });

  it('a standby is not taken for the primary; promoted, it is', async () => {
    const standby = await standbyOf(first);
    await expect(findPrimary(standby.url(), 1_000)).rejects.toMatchObject({ code: 'DATABASE_NO_PRIMARY' });
    const { database } = open(urlOf(standby, first));
    await database.start();
    expect(database.state.host).toBe(`127.0.0.1:${first.port}`);
    await first.kill();
    await expect(one(database)).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' });
    await down(database);
    await withClient(standby.url(), (client) => client.query('SELECT pg_promote()'));
    await waitFor(() => one(database), { what: 'an answer from the promoted standby' });
    expect(database.state.host).toBe(`127.0.0.1:${standby.port}`);
  });

  it('a hung server costs every caller its budget at most, then nothing; it is taken up when it wakes', async () => {
    const { database } = open(first.url());
    await database.start();
    expect(await one(database)).toBe(1);
    first.pause();
    try {
      const startedAt = performance.now();
      const took = await elapsedMs(() =>
        expect(one(database, 200)).rejects.toMatchObject({ code: 'DATABASE_TIMEOUT' }),
      );
      expect(performance.now() - startedAt).toBeGreaterThan(190);
      expect(took).toBeLessThan(1_000);
      await down(database);
      const fast = await elapsedMs(() =>
        expect(one(database)).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' }),
      );
      expect(fast).toBeLessThan(250);
    } finally {
      first.resume();
    }
    await waitFor(() => one(database), { what: 'an answer after SIGCONT' });
  });

  it('a mute host among several delays nobody', async () => {
    first.pause();
    try {
      const { database } = open(urlOf(first, second), { connectTimeoutMs: 10_000 });
      expect(await elapsedMs(() => database.start())).toBeLessThan(3_000);
      expect(database.state.host).toBe(`127.0.0.1:${second.port}`);
    } finally {
      first.resume();
    }
  });

  it('slow statements and a busy pool are not a lost server', async () => {
    const { database, states } = open(first.url(), { maxConnections: 2 });
    await database.start();
    const slow = Promise.allSettled(
      Array.from({ length: 2 }, () => database.query('SELECT pg_sleep(2)', [], 5_000)),
    );
    const refused = await Promise.allSettled(Array.from({ length: 4 }, () => one(database, 100)));
    expect(refused.map((result) => result.status === 'rejected' && result.reason.code)).toEqual(
      Array(4).fill('DATABASE_TIMEOUT'),
    );
    await expect(one(database, 5_000)).rejects.toMatchObject({ code: 'DATABASE_TIMEOUT' });
    expect((await slow).map((result) => result.status)).toEqual(['fulfilled', 'fulfilled']);
    for (let n = 0; n < 5; n++) expect(await one(database)).toBe(1);
    expect(states.map((state) => state.state)).toEqual(['up']);
  });

  it('a client whose answer is late serves nobody else: the next answer is the next statement’s', async () => {
    const { database } = open(first.url(), { maxConnections: 1 });
    await database.start();
    await expect(database.query('SELECT pg_sleep(0.3), 1 AS late', [], 100)).rejects.toMatchObject({
      code: 'DATABASE_TIMEOUT',
    });
    expect(await database.query('SELECT 2 AS next')).toEqual([{ next: 2 }]);
  });

  it('a transaction is rolled back when its work throws, and speaks the catalogue’s errors inside', async () => {
    const { database } = open(first.url(), { maxConnections: 1 });
    await database.start();
    await database.query('CREATE TEMPORARY TABLE t (n int PRIMARY KEY)');
    await database.transaction(async (client) => {
      await client.query('INSERT INTO t VALUES (1)');
    });
    const failed = database.transaction(async (client) => {
      await client.query('INSERT INTO t VALUES (2)');
      await expect(client.query(`SELECT 'x'::int`)).rejects.toMatchObject({ code: 'INVALID_VALUE' });
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await database.query('SELECT n FROM t')).toEqual([{ n: 1 }]);
  });

  it('rediscover looks again without an error', async () => {
    const { database, states } = open(first.url());
    await database.start();
    database.rediscover('promoted');
    expect(database.state).toMatchObject({ state: 'down', reason: 'promoted' });
    await up(database);
    expect(states.map((state) => state.state)).toEqual(['up', 'down', 'up']);
  });

  it('a wrong password is told apart from a dead server', async () => {
    const wrong = first.url('postgres', 'postgres', 'wrong');
    await expect(findPrimary(wrong, 1_000)).rejects.toMatchObject({ code: 'DATABASE_LOGIN_REFUSED' });
  });

  it('close and an aborted start end the search; a second start is the same search', async () => {
    await first.stop();
    const { database, states } = open(first.url());
    const impatient = AbortSignal.timeout(100);
    await expect(database.start(impatient)).rejects.toMatchObject({ name: 'TimeoutError' });
    const starts = [database.start(), database.start()];
    const ended = Promise.all(starts.map((start) => expect(start).rejects.toThrow()));
    await database.close();
    await ended;
    const attempts = states.length;
    await first.start();
    expect(states).toHaveLength(attempts);
    await expect(one(database)).rejects.toMatchObject({
      code: 'DATABASE_UNREACHABLE',
      details: { reason: 'closed' },
    });
  });

  it('close does not wait for a mute server', async () => {
    const { database } = open(first.url());
    await database.start();
    await one(database);
    first.pause();
    try {
      expect(await elapsedMs(() => database.close())).toBeLessThan(2_000);
    } finally {
      first.resume();
    }
  });
});

describe('a PostgreSQL URL', () => {
  it('with several hosts is one URL a host, credentials and parameters kept', () => {
    expect(
      hostUrls('postgres://u%40x:p%2F%3A@h1,[::1]:6000/d%20b?sslmode=require&application_name=a%20b'),
    ).toEqual([
      'postgres://u%40x:p%2F%3A@h1:5432/d%20b?sslmode=require&application_name=a+b',
      'postgres://u%40x:p%2F%3A@[::1]:6000/d%20b?sslmode=require&application_name=a+b',
    ]);
  });

  it('in logs has no credentials', () => {
    expect(hostLabel('postgres://user:secret@h1:1,h2:2/db')).toBe('h1:1,h2:2');
  });

  it.each([
    '',
    'http://h/d',
    'postgres://u:secret@/d',
    'postgres://u:secret@h',
    'postgres://u:secret@h:0/d',
    'postgres://u:secret@h:99999/d',
    'postgres://u:secret@h,/d',
  ])('%j is refused with the expected form, and without its password', (url) => {
    expect(() => hostUrls(url)).toThrow(/expected (postgres:|host)/);
    expect(() => hostUrls(url)).not.toThrow(/secret/);
  });
});

/** A streaming standby: the primary's files, copied while it is stopped. */
async function standbyOf(primary: PostgresServer): Promise<PostgresServer> {
  const dataDir = `${primary.dataDir}-standby`;
  await primary.stop();
  await promisify(execFile)('cp', ['-a', primary.dataDir, dataDir]);
  await primary.start();
  await writeFile(join(dataDir, 'standby.signal'), '');
  const { username, password, port } = new URL(primary.url());
  const conninfo = `host=127.0.0.1 port=${port} user=${username} password=${password}`;
  const standby = await startPostgres({ dataDir, settings: { primary_conninfo: conninfo } });
  closing.push(() => standby.remove());
  return standby;
}
