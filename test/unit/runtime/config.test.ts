import { describe, expect, it } from 'vitest';
import {
  ConfigError,
  type ConfigFault,
  environmentName,
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
    const lines = describeConfig();
    expect(lines.find((line) => line.startsWith('peers.<name>.sip:'))).toContain('SIP URI');
    expect(lines.find((line) => line.startsWith('postgres.lookupBudgetMs:'))).toContain('default 500');
  });
});
