import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Finding } from '../../services/cli/doctor/finding.ts';
import { initSite } from '../../shared/postgres/init-site.ts';
import { runProgram } from '../../shared/servers/run-program.ts';
import { type PostgresServer, startPostgres, withClient } from '../support/postgres.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { runCli } from '../unit/cli/run-cli.ts';

let postgres: PostgresServer;
let redis: RedisServer;
let folder: string;
let file: string;

/** Everything that somebody who installs a site in a hurry gets wrong, at once. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lastcall-doctor-'));
  [postgres, redis] = await Promise.all([
    startPostgres({
      settings: { wal_level: 'replica', max_replication_slots: 1, max_slot_wal_keep_size: -1, fsync: 'off' },
    }),
    startRedis(),
  ]);
  await postgres.createDatabase('lastcall');
  const passwords = { app: 'p-app', replicator: 'p-rep', coordinator: 'p-coo', peer: 'p-peer' };
  await initSite({ ownerUrl: postgres.url('lastcall'), site: 'a', peers: ['b'], passwords });
  await withClient(postgres.url('lastcall'), async (client) => {
    await client.query('REVOKE INSERT ON lastcall.lastcalls FROM lastcall_app');
    await client.query(
      `INSERT INTO lastcall.api_tokens (name, role, hash, created_by) VALUES ('for-ever', 'admin', sha256('x'), 'test')`,
    );
  });
  const [certificate, key] = [join(folder, 'sip.pem'), join(folder, 'sip.key')];
  const subject = ['-subj', '/CN=sip.example.net', '-days', '3'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await runProgram('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', certificate]);
  chmodSync(key, 0o644);
  await runProgram('redis-cli', ['-u', redis.url, 'config', 'set', 'maxmemory-policy', 'allkeys-lru']);
  file = join(folder, 'a.yaml');
  const role = (name: string, password: string) => postgres.url('lastcall', `lastcall_${name}`, password);
  const config = {
    site: 'a',
    domain: 'example.net',
    postgres: {
      url: role('app', passwords.app),
      replicatorUrl: role('replicator', 'mistyped'),
    },
    redis: { url: redis.url },
    sip: { tls: '127.0.0.1:2', certificate, key },
    api: { listen: '127.0.0.1:1', tokens: [{ token: 'sixteen-or-more.', role: 'admin' }] },
    peers: { b: { coordinatorUrl: 'postgres://lastcall_coordinator:x@127.0.0.1:1/lastcall' } },
    coordinator: { backupCheckCommand: 'exit 1' },
  };
  writeFileSync(file, stringify(config));
  chmodSync(file, 0o644);
});
afterAll(async () => {
  await Promise.all([postgres?.remove(), redis?.remove()]);
  rmSync(folder, { recursive: true, force: true });
});

it('finds every one of many faults at once, and says of each what to do', async () => {
  const { exit, out } = await runCli(['doctor', '--json', '--config', file]);
  expect(exit).toBe(1);
  const { findings } = JSON.parse(out) as { findings: readonly Finding[] };
  const wrong = findings.filter(({ state }) => state !== 'ok');
  for (const { detail, remedy } of wrong) expect(remedy, detail).toBeTruthy();
  const found = wrong.map(({ check, detail, state }) => `${state} ${check}: ${detail}`);
  for (const fault of [
    /^fail wal_level: .*replica/,
    /^fail slots: /,
    /^warn max_slot_wal_keep_size: /,
    /^warn durability: .*fsync/,
    /^fail grants: lastcall_app has no INSERT on lastcall.lastcalls/,
    /^fail postgres\.replicatorUrl: /,
    /^warn postgres\.coordinatorUrl: not configured/,
    /^warn redis: .*allkeys-lru/,
    /^fail peer b: /,
    /^fail api: /,
    /^warn sip\.certificate: it expires/,
    /^warn file modes: .*sip\.key is 0644/,
    /^warn file modes: .*a\.yaml is 0644/,
    /^warn tokens: .*shorter than 24/,
    /^warn tokens: the admin token for-ever never expires/,
    /^warn backup: .*ended with 1/,
  ])
    expect(
      found.filter((line) => fault.test(line)),
      `${fault} in\n${found.join('\n')}`,
    ).toHaveLength(1);
  // A password of the configuration stands in none of them.
  expect(out).not.toMatch(/p-app|mistyped|sixteen-or-more/);
});
