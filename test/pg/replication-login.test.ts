import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientUrl } from '../../shared/postgres/client-url.ts';
import { findPrimary } from '../../shared/postgres/find-primary.ts';
import { connectToPrimary } from '../../shared/postgres/replication/primary.ts';
import { ConnectionLost, ProtocolRefused, ServerError } from '../../shared/postgres/wire/server-error.ts';
import { type PostgresServer, startPostgres, withClient } from '../support/postgres.ts';
import { query } from '../support/replication-pair.ts';

const run = promisify(execFile);
let folder: string;
let plain: PostgresServer;
let secured: PostgresServer;

/** A certificate for 127.0.0.1, its own authority. */
async function makeCertificate(name: string): Promise<void> {
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', ...files, ...subject]);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lastcall-tls-'));
  await Promise.all([makeCertificate('server'), makeCertificate('other')]);
  [plain, secured] = await Promise.all([startPostgres(), startPostgres()]);
  // The key must be the server's own: it writes it itself.
  for (const extension of ['key', 'crt']) {
    const content = await readFile(join(folder, `server.${extension}`), 'utf8');
    await writeFile(join(secured.dataDir, `server.${extension}`), content);
  }
  await run('chown', [
    '--reference',
    join(secured.dataDir, 'PG_VERSION'),
    join(secured.dataDir, 'server.key'),
  ]);
  await chmod(join(secured.dataDir, 'server.key'), 0o600);
  await query(secured.url(), 'ALTER SYSTEM SET ssl = on');
  await query(secured.url(), 'SELECT pg_reload_conf()');
});

afterAll(async () => {
  await Promise.all([plain?.remove(), secured?.remove()]);
  await rm(folder, { recursive: true, force: true });
});

/** Whether the session goes through TLS, as the server sees it. */
async function login(url: string): Promise<boolean> {
  const connection = await connectToPrimary(url, { applicationName: 'test' });
  try {
    const { rows } = await connection.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    return rows[0]?.['ssl'] === 't';
  } finally {
    await connection.close();
  }
}

/** The same by the library that most processes use. */
async function loginByPg(url: string): Promise<boolean> {
  const { url: found } = await findPrimary(url, 3_000);
  return withClient(clientUrl(found), async (client) => {
    const { rows } = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    return rows[0].ssl;
  });
}

describe('TLS', () => {
  test('verify-full takes a server whose certificate the given authority signed, and no other', async () => {
    const verified = (authority: string): string =>
      `${secured.url()}?sslmode=verify-full&sslrootcert=${join(folder, `${authority}.crt`)}`;
    expect(await login(verified('server'))).toBe(true);
    await expect(login(verified('other'))).rejects.toThrow(ConnectionLost);
  });

  test.each([
    ['wire client', login],
    ['pg', loginByPg],
  ])('each sslmode means to the %s what it means to libpq', async (_client, enters) => {
    const asks = (mode: string, authority?: string): Promise<boolean> =>
      enters(
        `${secured.url()}?sslmode=${mode}${authority ? `&sslrootcert=${join(folder, `${authority}.crt`)}` : ''}`,
      );
    // Self-signed: encrypted, and nobody is asked about it, until somebody is named.
    expect(await asks('require')).toBe(true);
    expect(await asks('require', 'server')).toBe(true);
    await expect(asks('require', 'other')).rejects.toThrow();
    expect(await asks('verify-ca', 'server')).toBe(true);
    await expect(asks('verify-ca', 'other')).rejects.toThrow();
    await expect(asks('verify-ca')).rejects.toThrow();
    expect(await asks('verify-full', 'server')).toBe(true);
    await expect(asks('verify-full', 'other')).rejects.toThrow();
    await expect(asks('verify-full')).rejects.toThrow();
    expect(await asks('disable')).toBe(false);
    await expect(enters(`${plain.url()}?sslmode=require`)).rejects.toThrow();
  });

  test('prefer takes TLS where it is offered and goes without where it is not', async () => {
    expect(await login(secured.url())).toBe(true);
    expect(await login(plain.url())).toBe(false);
  });

  test('require refuses a server without TLS', async () => {
    await expect(login(`${plain.url()}?sslmode=require`)).rejects.toThrow(ProtocolRefused);
  });

  test('large results come through TLS whole', async () => {
    const connection = await connectToPrimary(secured.url(), { applicationName: 'test' });
    const { rows } = await connection.query(
      `SELECT repeat('x', 3000000) AS x, i FROM generate_series(1, 3) i`,
    );
    await connection.close();
    expect(rows.map((row) => row['x']?.length)).toEqual([3_000_000, 3_000_000, 3_000_000]);
  });
});

describe('login', () => {
  test('SCRAM-SHA-256: the right password enters, a wrong one is refused by the server', async () => {
    await query(plain.url(), `CREATE ROLE someone LOGIN PASSWORD 'pässword–¼'`);
    expect(await login(plain.url('postgres', 'someone', 'pässword–¼'))).toBe(false);
    const wrong = login(plain.url('postgres', 'someone', 'password'));
    await expect(wrong).rejects.toThrow(ServerError);
    await expect(wrong).rejects.toMatchObject({ code: '28P01' });
  });

  test('a clear-text password is not sent over a plain connection', async () => {
    const file = join(plain.dataDir, 'pg_hba.conf');
    await writeFile(file, `host all weak 127.0.0.1/32 password\n${await readFile(file, 'utf8')}`);
    await query(plain.url(), `CREATE ROLE weak LOGIN PASSWORD 'secret'`);
    await query(plain.url(), 'SELECT pg_reload_conf()');
    await expect(login(plain.url('postgres', 'weak', 'secret'))).rejects.toThrow(ProtocolRefused);
  });

  test('nobody listens: a lost connection, worth another try', async () => {
    await expect(login('postgres://postgres@127.0.0.1:1/postgres')).rejects.toThrow(ConnectionLost);
  });
});
