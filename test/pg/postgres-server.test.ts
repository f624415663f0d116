import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { POSTGRES_FOLDERS } from '../../shared/servers/postgres-binaries.ts';
import { childPids, identifyProcess } from '../../shared/servers/process-identity.ts';
import { type PostgresServer, startPostgres, systemBinDir, withClient } from '../support/postgres.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

const ask = (sql: string): Promise<unknown> =>
  withClient(server.url(), async (client) => (await client.query(sql)).rows[0]);

test('the server is ready for logical decoding and bounds the WAL it retains', async () => {
  expect(await ask('SHOW wal_level')).toEqual({ wal_level: 'logical' });
  expect(await ask('SHOW max_slot_wal_keep_size')).toEqual({ max_slot_wal_keep_size: '1GB' });
});

test('a killed server leaves no backend and starts again on its port with its data', async () => {
  await ask('CREATE TABLE kept AS SELECT 1 AS n');
  await ask('CHECKPOINT');
  const family = [server.pid, ...childPids(server.pid)];
  await server.kill();
  expect(family.map(identifyProcess).filter(Boolean)).toEqual([]);
  await server.start();
  expect(await ask('SELECT n FROM kept')).toEqual({ n: 1 });
});

test('a paused server keeps its port and answers nobody until it is resumed', async () => {
  server.pause();
  let answered = false;
  const answer = ask('SELECT 1').then(() => {
    answered = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(answered).toBe(false);
  server.resume();
  await answer;
});

test('a stopped server says so instead of giving a stale process id', async () => {
  await server.stop();
  expect(() => server.pid).toThrow(/not running/);
  await server.start();
});

test('a wrong password is refused, also on the socket of this machine', async () => {
  const wrong = server.url('postgres', 'postgres', 'guess');
  await expect(withClient(wrong, (client) => client.query('SELECT'))).rejects.toMatchObject({
    code: '28P01',
  });
});

test("the system's PostgreSQL runs the same way and leaves no folder behind", async () => {
  const older = await startPostgres({ binDir: systemBinDir() ?? '' });
  const version = await withClient(older.url(), (client) => client.query('SHOW server_version_num'));
  expect([15, 16, 17, 18]).toContain(Math.floor(Number(version.rows[0].server_version_num) / 10_000));
  await older.remove();
  expect(existsSync(older.dataDir)).toBe(false);
});

test('the newest server of the system packages is found', async () => {
  const found = systemBinDir();
  expect(existsSync(join(found ?? '', 'initdb'))).toBe(true);
  const newest = POSTGRES_FOLDERS.find((folder) => existsSync(join(folder, 'initdb')));
  if (newest) expect(found).toBe(newest);
  expect(existsSync(join(systemBinDir('repmgrd') ?? '', 'repmgrd'))).toBe(true);
});
