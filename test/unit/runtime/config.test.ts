import { describe, expect, it } from 'vitest';
import {
  ConfigError,
  type ConfigFault,
  environmentName,
  loadConfig,
  parseConfig,
} from '../../../shared/runtime/config.ts';
import { describeConfig } from '../../../shared/runtime/describe-config.ts';
import { redactConfig } from '../../../shared/runtime/redact-config.ts';

const MINIMAL = `
site: a
domain: lastcall.test
postgres: { url: 'postgres://lastcall_app:secret-one@10.0.0.1:5432,10.0.0.2/lastcall' }
redis: { url: 'redis://127.0.0.1:6379' }
`;

function faultsOf(yaml: string, env = {}): readonly ConfigFault[] {
  try {
    parseConfig(yaml, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  throw new Error('the configuration was accepted');
}
const pathsOf = (yaml: string, env = {}) => faultsOf(yaml, env).map(({ path }) => path);

describe('configuration', () => {
  it('takes a minimal file and fills in the defaults', () => {
    const config = parseConfig(MINIMAL);
    expect(config.postgres.lookupBudgetMs).toBe(500);
    expect(config.calls.featureCodes).toEqual({ '*52': 'redial', '*69': 'return' });
    expect(config.callReturn.source).toBe('missed');
    expect(config.sip.trustedPeers).toEqual([]);
    expect(config.peers).toEqual({});
    expect(Object.isFrozen(config.sip)).toBe(true);
  });

  it('reports every fault at once, each with its path and the expected form', () => {
    const faults = faultsOf(`
site: A1
postgres: { url: 'mysql://x', maxConnections: many }
redis: { url: 'redis://127.0.0.1' }
sip: { udp: '127.0.0.1', minExpiresSeconds: 0 }
api: { tokens: [{ token: short, role: root }] }
`);
    expect(faults.map(({ path }) => path)).toEqual([
      'site',
      'domain',
      'postgres.url',
      'postgres.maxConnections',
      'sip.udp',
      'sip.minExpiresSeconds',
      'api.tokens.0.token',
      'api.tokens.0.role',
    ]);
    expect(faults.every(({ fault }) => /expected/.test(fault))).toBe(true);
  });

  it('names an unknown key with the one that was probably meant', () => {
    expect(faultsOf(`${MINIMAL}sip: { upd: '127.0.0.1:5060' }`)[0]?.fault).toContain('did you mean udp?');
  });

  it('gives line and column of broken YAML', () => {
    expect(pathsOf('site: [a\ndomain: b')[0]).toMatch(/^configuration:\d+:\d+$/);
  });

  it('never shows a secret in a fault', () => {
    const faults = faultsOf(`${MINIMAL}alerts: { smtpUrl: 'http://user:hunter2@mail' }`);
    expect(JSON.stringify(faults)).not.toContain('hunter2');
  });

  it('refuses a password that everybody knows, wherever it stands', () => {
    const faults = faultsOf(`
site: a
domain: lastcall.test
postgres: { url: 'postgres://lastcall_app:change-me-app@10.0.0.1/lastcall', ownerUrl: 'postgres://postgres:postgres@10.0.0.1/lastcall' }
redis: { url: 'redis://:foobared@127.0.0.1:6379' }
api: { tokens: [{ token: change-me-admin-token, role: admin }] }
peers: { b: { replicatorUrl: 'postgres://lastcall_replicator:lastcall%5Freplicator@10.0.0.2/lastcall' } }
`);
    expect(faults.map(({ path }) => path)).toEqual([
      'postgres.url',
      'postgres.ownerUrl',
      'redis.url',
      'api.tokens.0.token',
      'peers.b.replicatorUrl',
    ]);
    for (const { fault } of faults) expect(fault).toContain('openssl rand');
    expect(JSON.stringify(faults)).not.toContain('change-me');
  });

  it('every key can be given by the environment, which wins', () => {
    expect(environmentName(['sip', 'maxContacts'])).toBe('LASTCALL_SIP_MAX_CONTACTS');
    const config = parseConfig(MINIMAL, {
      LASTCALL_SIP_MAX_CONTACTS: '3',
      LASTCALL_SIP_TRUSTED_PEERS: '10.0.0.0/8,::1',
    });
    expect(config.sip.maxContacts).toBe(3);
    expect(config.sip.trustedPeers).toEqual(['10.0.0.0/8', '::1']);
  });

  it('names the variable of a wrong value from the environment', () => {
    expect(faultsOf(MINIMAL, { LASTCALL_LOG_LEVEL: 'loud' })[0]?.fault).toContain('LASTCALL_LOG_LEVEL');
  });

  it('is shown without passwords and tokens', () => {
    const shown = JSON.stringify(
      redactConfig(parseConfig(`${MINIMAL}api: { tokens: [{ token: abcdefghijklmnopq, role: read }] }`)),
    );
    expect(shown).not.toMatch(/secret-one|abcdefghijklmnopq/);
    expect(shown).toContain('lastcall_app:***@10.0.0.1');
  });

  it('describes every key with form and default', () => {
    const keys = describeConfig().flatMap((chapter) => chapter.keys);
    expect(keys.find(({ path }) => path === 'peers.<name>.sip')?.expected).toContain('SIP URI');
    expect(keys.find(({ path }) => path === 'postgres.lookupBudgetMs')?.preset).toBe('500');
  });

  it('lists, maps and peers that no file names can come from the environment', () => {
    const config = parseConfig(MINIMAL, {
      LASTCALL_API_TOKENS: '[{ "token": "abcdefghijklmnopq", "role": "admin" }]',
      LASTCALL_CALLS_DIAL_RULES: '{ "+44": "0" }',
      LASTCALL_PEERS_B_SIP: 'sip:10.0.0.2:5060',
      LASTCALL_SIP_SITE_KEY: 'k'.repeat(32),
      LASTCALL_PEERS_B_REPLICATOR_URL: 'postgres://lastcall_replicator:pw@10.0.0.2/lastcall',
    });
    expect(config.api.tokens).toEqual([{ token: 'abcdefghijklmnopq', role: 'admin' }]);
    expect(config.calls.dialRules).toEqual({ '+44': '0' });
    expect(config.peers['b']).toMatchObject({ sip: 'sip:10.0.0.2:5060', coordinatorUrl: null });
  });

  it('names a mistyped variable with the one that was probably meant, and leaves foreign ones alone', () => {
    const faults = faultsOf(MINIMAL, { LASTCALL_SIP_UPD: '127.0.0.1:5060', LASTCALL_BUILD_NUMBER: '7' });
    expect(faults).toEqual([
      { path: 'LASTCALL_SIP_UPD', fault: 'unknown variable; did you mean LASTCALL_SIP_UDP?' },
    ]);
  });

  it('no two keys share a variable', () => {
    const names = describeConfig().flatMap(({ keys }) => keys.map(({ environment }) => environment));
    expect(new Set(names).size).toBe(names.length);
  });

  it('never shows a secret that slipped a level up', () => {
    const faults = faultsOf(`
site: a
domain: lastcall.test
postgres: 'postgres://lastcall_app:hunter2@10.0.0.1/lastcall'
redis: 'redis://:hunter2@127.0.0.1'
api: { tokens: [hunter2-hunter2-hunter2] }
`);
    expect(faults.map(({ path }) => path)).toEqual(['postgres', 'redis', 'api.tokens.0']);
    expect(JSON.stringify(faults)).not.toContain('hunter2');
  });

  it.each([
    ['postgres://u:p@db:99999/lastcall'],
    ['postgres://u:p@db,db2:x/lastcall'],
    ['postgres://u:p@db'],
    ['postgres://u:50%@db/lastcall'],
  ])('refuses the PostgreSQL URL %s before anything connects with it', (url) => {
    expect(pathsOf(MINIMAL.replace(/postgres:\/\/[^']*/, url))).toEqual(['postgres.url']);
  });

  it.each(['10.0.0.0/33', '999.0.0.1', '::1/129', '10.0.0.0/8/8', 'localhost'])(
    'refuses the network %s',
    (network) => {
      expect(pathsOf(MINIMAL, { LASTCALL_SIP_TRUSTED_PEERS: network })).toEqual(['sip.trustedPeers']);
    },
  );

  it('says where keys contradict each other', () => {
    const faults = pathsOf(`${MINIMAL}
sip: { tls: '127.0.0.1:5061', tcp: '127.0.0.1:8080', defaultExpiresSeconds: 10 }
peers: { a: { sip: 'sip:127.0.0.1' } }
`);
    expect(faults).toEqual([
      'sip.defaultExpiresSeconds',
      'sip.certificate',
      'sip.key',
      'peers.a',
      'sip.siteKey',
      'api.listen',
    ]);
  });
});

it('a file that a URL names and nobody can read is told with its key, before anything connects', () => {
  const certificate = '/nowhere/ca.pem';
  const url = `postgres://lastcall_peer:secret-two@10.0.0.3/lastcall?sslmode=verify-full&sslrootcert=${certificate}`;
  const env = {
    LASTCALL_SITE: 'a',
    LASTCALL_DOMAIN: 'lastcall.test',
    LASTCALL_POSTGRES_URL: 'postgres://lastcall_app:x1x2@10.0.0.1/lastcall',
    LASTCALL_REDIS_URL: 'redis://127.0.0.1:6379',
    LASTCALL_PEERS_B_REPLICATOR_URL: url,
  };
  const load = () => loadConfig({ env });
  expect(load).toThrow(ConfigError);
  expect(load).toThrow(/peers\.b\.replicatorUrl: sslrootcert names \/nowhere\/ca\.pem, which cannot be read/);
  expect(load).not.toThrow(/secret-two/);
});
