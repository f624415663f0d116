import { expect, test } from 'vitest';
import { parseCommandLine } from '../../../services/lab/options.ts';
import { planLab } from '../../../services/lab/plan.ts';
import type { LabSecrets } from '../../../services/lab/secrets.ts';
import { asRole, type SiteDatabase, siteConfig } from '../../../services/lab/site-config.ts';
import { parseConfig } from '../../../shared/runtime/config.ts';

const secrets: LabSecrets = {
  postgres: {
    superuser: 's',
    app: 'app-pw',
    replicator: 'repl-pw',
    coordinator: 'coord-pw',
    peer: 'peer-pw',
    repmgr: 'r',
  },
  redis: 'redis-pw',
  tokens: { read: 'r'.repeat(16), record: 'c'.repeat(16), admin: 'a'.repeat(16) },
  terminalKey: 'k',
  siteKey: 'k'.repeat(32),
  provisioned: {},
};
const command = parseCommandLine([]);
if (command.do !== 'run') throw new Error('expected a start');
const plan = planLab(command.options, '/data');
const databases = new Map<string, SiteDatabase>(
  ['a', 'b'].map((site, index) => [
    site,
    { ownerUrl: `postgres://postgres:s@127.0.0.1:${55432 + index}/lastcall`, hosts: null },
  ]),
);
const tls = { certificate: '/data/tls/lab.pem', key: '/data/tls/lab.key' };
const [a, b] = plan.sites;
if (!a || !b) throw new Error('expected two sites');

test('the configuration that the lab writes is one that the services accept', () => {
  const config = parseConfig(siteConfig(plan, a, databases, secrets, tls));
  expect(config.site).toBe('a');
  expect(config.postgres.url).toBe('postgres://lastcall_app:app-pw@127.0.0.1:55432/lastcall');
  expect(config.redis.url).toBe('redis://:redis-pw@127.0.0.1:56379');
  expect(config.sip.tls).toEqual({ host: '127.0.0.1', port: 5061 });
  expect(config.api.tokens.map(({ role }) => role)).toEqual(['read', 'record', 'admin']);
});

test('each site knows how to reach the other, and not itself', () => {
  const { peers } = parseConfig(siteConfig(plan, b, databases, secrets, tls));
  expect(Object.keys(peers)).toEqual(['a']);
  expect(peers.a).toEqual({
    sip: 'sip:127.0.0.1:5060',
    replicatorUrl: 'postgres://lastcall_peer:peer-pw@127.0.0.1:55432/lastcall',
    coordinatorUrl: 'postgres://lastcall_coordinator:coord-pw@127.0.0.1:55432/lastcall',
  });
});

test('without a certificate there is no TLS listener', () => {
  const { sip } = parseConfig(siteConfig(plan, a, databases, secrets, null));
  expect([sip.tls, sip.wss]).toEqual([null, null]);
});

test.each([
  ['postgres://owner:pw@h:1/db', 'postgres://role:p%40w@h:1/db'],
  ['postgresql://h1:1,h2:2/db?sslmode=require', 'postgresql://role:p%40w@h1:1,h2:2/db?sslmode=require'],
])('%s as another role', (url, expected) => {
  expect(asRole(url, 'role', 'p@w')).toBe(expected);
});

test('services get every host that may be the primary, the owner the one that is', () => {
  const hosts = '127.0.0.1:55432,127.0.0.1:55442';
  const withStandby = new Map(databases).set('a', {
    ownerUrl: 'postgres://postgres:s@127.0.0.1:55442/lastcall',
    hosts,
  });
  const own = parseConfig(siteConfig(plan, a, withStandby, secrets, tls)).postgres;
  expect(own.url).toBe(`postgres://lastcall_app:app-pw@${hosts}/lastcall`);
  expect(own.ownerUrl).toBe('postgres://postgres:s@127.0.0.1:55442/lastcall');
  const peer = parseConfig(siteConfig(plan, b, withStandby, secrets, tls)).peers.a;
  expect(peer?.coordinatorUrl).toBe(`postgres://lastcall_coordinator:coord-pw@${hosts}/lastcall`);
});
