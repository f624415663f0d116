import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { builtServices } from '../../services/lab/service-program.ts';
import { identifyProcess, pidExists } from '../../shared/servers/process-identity.ts';
import { elapsedMs } from '../support/elapsed.ts';
import { type RunningLab, runLabCommand, startLab } from '../support/lab.ts';
import { withClient } from '../support/postgres.ts';
import { connectRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';

let lab: RunningLab;
beforeAll(async () => {
  lab = await startLab(['--terminals', '7']);
});
afterAll(() => lab.remove());

const pidsOf = async (site: string): Promise<Record<string, number>> => {
  const pids = (await lab.endpoints()).sites[site]?.pids;
  if (!pids) throw new Error(`no site ${site}`);
  return pids;
};
const allPids = async (): Promise<number[]> =>
  Object.values((await lab.endpoints()).sites).flatMap(({ pids }) => Object.values(pids));

test('endpoints.json names every address, running process and account', async () => {
  const { sites, adminToken, terminals } = await lab.endpoints();
  expect(Object.keys(sites)).toEqual(['a', 'b']);
  expect(Object.keys(sites.a?.pids ?? {}).sort()).toEqual(['postgres', 'redis', ...builtServices()].sort());
  expect((await allPids()).map(identifyProcess)).not.toContain(null);
  expect(adminToken.length).toBeGreaterThan(15);
  expect(terminals).toHaveLength(7);
  expect(terminals[0]).toMatchObject({
    terminalId: 1,
    username: '1001',
    number: '1001',
    aor: 'sip:1001@lastcall.test',
  });
});

test('every service of every site is ready', async () => {
  for (const { api } of Object.values((await lab.endpoints()).sites)) {
    expect((await fetch(`${api}/readyz`)).status).toBe(200);
  }
});

test('the ready screen says where things are, who can call and what to dial', () => {
  expect(lab.output()).toContain('Lastcall is ready');
  for (const text of ['1001', '1005', '*52', '*69', 'Ctrl-C']) expect(lab.output()).toContain(text);
  expect(lab.output()).not.toContain('postgres://');
});

test('the accounts are provisioned at every site, without their passwords in clear', async () => {
  const { sites, terminals } = await lab.endpoints();
  for (const { postgres } of Object.values(sites)) {
    const { rows } = await withClient(postgres, (client) =>
      client.query('SELECT terminal_id::int, number, ha1_md5, ha1_sha256 FROM lastcall.terminals ORDER BY 1'),
    );
    expect(rows.map(({ number }) => number)).toEqual(terminals.map(({ number }) => number));
    expect(JSON.stringify(rows)).not.toContain(terminals[0]?.password);
  }
});

test('a killed service is started again within two seconds, and endpoints.json follows', async () => {
  const { api: before } = await pidsOf('a');
  process.kill(before as number, 'SIGKILL');
  const isAnother = async () => (await pidsOf('a')).api !== before && (await pidsOf('a')).api;
  expect(await elapsedMs(() => waitFor(isAnother, { what: 'the api of site a' }))).toBeLessThan(2_000);
  expect(identifyProcess((await pidsOf('a')).api as number)).not.toBeNull();
  const { api } = (await lab.endpoints()).sites.a ?? {};
  await waitFor(async () => (await fetch(`${api}/readyz`)).ok, { what: 'its readiness' });
});

test('a part taken down stays down until it is revived', async () => {
  const { postgres } = await pidsOf('b');
  expect((await lab.command('--halt', 'b.postgres')).status).toBe(0);
  expect((await pidsOf('b')).postgres).toBeUndefined();
  await waitFor(() => !pidExists(postgres as number));
  expect((await lab.command('--revive', 'b.postgres')).status).toBe(0);
  expect((await pidsOf('b')).postgres).toBeGreaterThan(0);
  const { api } = (await lab.endpoints()).sites.b ?? {};
  await waitFor(async () => (await fetch(`${api}/readyz`)).ok, { what: 'site b', deadlineMs: 60_000 });
});

test('a part that does not exist is refused with the names of those that do', async () => {
  const refused = await lab.command('--halt', 'a.mysql');
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain('a.postgres');
});

test('a second lab on the same data is refused, one on the same ports names who holds them', async () => {
  const sameData = await lab.command();
  expect(sameData).toMatchObject({ status: 1 });
  expect(sameData.stderr).toContain(`pid ${lab.pid}`);
  const elsewhere = join(lab.dataDir, 'other');
  const samePorts = await runLabCommand('--data', elsewhere, '--port-offset', String(lab.portOffset));
  expect(samePorts).toMatchObject({ status: 1 });
  expect(samePorts.stderr).toMatch(/in use by \S+ \(pid \d+\)/);
  expect(samePorts.stderr).toContain('--port-offset');
});

test('wrong arguments are a usage error, status 2', async () => {
  const wrong = await runLabCommand('--terminals', 'many');
  expect(wrong).toMatchObject({ status: 2 });
  expect(wrong.stderr).toContain('--terminals: expected a whole number');
});

test('Redis asks for the password that stands in endpoints.json, and no command line shows it', async () => {
  const { sites } = await lab.endpoints();
  const { password, port } = new URL(sites.a?.redis ?? '');
  expect(password.length).toBeGreaterThan(15);
  const stranger = new Redis({ host: '127.0.0.1', port: Number(port), lazyConnect: true });
  stranger.on('error', () => {});
  await expect(stranger.get('x')).rejects.toThrow('NOAUTH');
  stranger.disconnect();
  const known = await connectRedis(sites.a?.redis ?? '');
  await known.close();
  const commandLine = await readFile(`/proc/${sites.a?.pids['redis']}/cmdline`, 'utf8');
  expect(commandLine).not.toContain(password);
});

test('secrets are readable by their owner alone, and logs hold none', async () => {
  const { sites, adminToken } = await lab.endpoints();
  for (const file of [
    'secrets.json',
    'endpoints.json',
    'a.yaml',
    'b.yaml',
    'a/redis/password.conf',
    'tls/lab.key',
  ])
    expect([file, (await stat(join(lab.dataDir, file))).mode & 0o777]).toEqual([file, 0o600]);
  const logs = await readdir(join(lab.dataDir, 'logs'));
  expect(logs).toEqual(expect.arrayContaining(['a-postgres.log', 'b-redis.log', 'a-api.log']));
  const password = new URL(sites.a?.postgres ?? '').password;
  for (const log of logs) {
    const text = await readFile(join(lab.dataDir, 'logs', log), 'utf8');
    expect({ log, leaks: text.includes(adminToken) || text.includes(password) }).toEqual({
      log,
      leaks: false,
    });
  }
});

test('Ctrl-C ends every process; the next start is fast and keeps the data', async () => {
  const { sites } = await lab.endpoints();
  await withClient(sites.a?.postgres ?? '', (client) =>
    client.query('DELETE FROM lastcall.terminals WHERE terminal_id = 7'),
  );
  const pids = await allPids();
  expect(await lab.end('SIGINT')).toBe(0);
  expect(pids.filter(pidExists)).toEqual([]);
  expect(existsSync(join(lab.dataDir, 'endpoints.json'))).toBe(false);

  const startedAt = performance.now();
  lab = await startLab(['--terminals', '7'], lab);
  expect(performance.now() - startedAt).toBeLessThan(20_000);
  const { rows } = await withClient((await lab.endpoints()).sites.a?.postgres ?? '', (client) =>
    client.query('SELECT count(*)::int AS terminals FROM lastcall.terminals'),
  );
  expect(rows).toEqual([{ terminals: 6 }]);
});

test('after a lab was killed the next start sweeps what it left and runs', async () => {
  const orphans = await allPids();
  await lab.end('SIGKILL');
  lab = await startLab([], lab, 'npm');
  expect(orphans.filter(pidExists)).toEqual([]);
  expect(await allPids()).toHaveLength(orphans.length);
});

test('SIGTERM to `npm start` itself ends every process of the lab', async () => {
  const pids = await allPids();
  await lab.end('SIGTERM');
  await waitFor(() => !pids.some(pidExists), { what: 'the end of every process', deadlineMs: 30_000 });
});

test('a detached lab is left running when it is ready, and --stop ends it', async () => {
  const ports = ['--port-offset', String(lab.portOffset)];
  const detached = await lab.command('--detach', ...ports);
  expect(detached).toMatchObject({ status: 0, stderr: '' });
  expect(detached.stdout).toContain(`npm start -- --stop --data ${lab.dataDir}`);
  const pids = await allPids();
  expect(pids.map(identifyProcess)).not.toContain(null);

  expect(await lab.command('--stop')).toMatchObject({ status: 0, stdout: 'The lab is stopped.\n' });
  expect(pids.filter(pidExists)).toEqual([]);
  expect(await lab.command('--stop')).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('No lab runs'),
  });
});
