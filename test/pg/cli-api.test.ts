import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastcallEvent, type Notice } from '../../shared/domain/alert.ts';
import { AlertBoard } from '../../shared/redis/alert-board.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { withClient } from '../support/postgres.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { type CliRun, runCli } from '../unit/cli/run-cli.ts';
import { type StartedApi, startApi } from './started-api.ts';
import { ADMIN_TOKEN, READ_TOKEN, startTwoSites, type TwoSites } from './two-sites.ts';

let sites: TwoSites;
let redis: RedisServer;
let api: StartedApi;
let config: string;
let address: string;
beforeAll(async () => {
  [sites, redis] = await Promise.all([startTwoSites(), startRedis()]);
  address = `127.0.0.1:${await freePort()}`;
  const overrides = {
    redis: { url: redis.url },
    api: {
      listen: address,
      tokens: [
        { token: READ_TOKEN, role: 'read' },
        { token: ADMIN_TOKEN, role: 'admin' },
      ],
    },
  };
  config = sites.configFile('a', overrides);
  api = await startApi(sites.config('a', overrides), { listen: true });
  const sql = (site: string, text: string) =>
    withClient(sites.ownerUrl(site), (client) => client.query(text));
  await sql('b', `INSERT INTO lastcall.heartbeat_a (beat_at) VALUES ('infinity')`);
  await sql('a', `INSERT INTO lastcall.heartbeat_b (beat_at) VALUES ('infinity')`);
});
afterAll(async () => {
  await api.stop();
  await Promise.all([sites.server.remove(), redis.remove()]);
});

const cli = (...argv: string[]): Promise<CliRun> => runCli([...argv, '--config', config]);
/** A database host that knows the API's address alone. */
const onHost = (...argv: string[]) =>
  runCli([...argv, '--site', 'b'], {
    env: { LASTCALL_API: `http://${address}`, LASTCALL_TOKEN: ADMIN_TOKEN },
  });

describe('the command line with the API', () => {
  it('a hook needs only its address and a token', async () => {
    const run = await onHost(
      'hook',
      'repmgr',
      '2',
      'standby_promote',
      '1',
      '2026-11-21 04:00:00+00',
      'node "n2" was promoted',
      '1',
    );
    expect(run).toMatchObject({ exit: 0, err: '' });
    const [{ json }] = [await api.request('GET', '/v1/failovers')];
    expect(json.failovers[0]).toMatchObject({
      site: 'b',
      reason: 'repmgr standby_promote',
      requestedBy: 'repmgr node 2',
    });
    expect((await onHost('hook', 'patroni', 'on_role_change', 'primary', 'main')).out).toContain(
      'is asked for',
    );
    expect((await onHost('hook', 'patroni', 'on_role_change', 'replica', 'main')).out).toContain('ignored');
    const alert = {
      CRM_alert_kind: 'resource',
      CRM_alert_task: 'promote',
      CRM_alert_rc: '0',
      CRM_alert_node: 'n2',
    };
    const env = { ...alert, LASTCALL_API: `http://${address}`, LASTCALL_TOKEN: ADMIN_TOKEN };
    expect(await runCli(['hook', 'pacemaker', '--site', 'b'], { env })).toMatchObject({ exit: 0, err: '' });
    expect((await api.request('GET', '/v1/failovers')).json.failovers).toHaveLength(3);
  });

  it('says what the API refused: a token that may not, a site that is none', async () => {
    const run = await cli('failover', 'b', '--token', READ_TOKEN);
    expect(run).toMatchObject({ exit: 1, out: '' });
    expect(run.err).toMatch(/ROLE_INSUFFICIENT.*needed: admin/s);
    expect((await cli('failover', 'x')).err).toContain('SITE_UNKNOWN');
  });

  it('heal asks for a failover that makes everything anew', async () => {
    expect((await cli('heal', 'b')).exit).toBe(0);
    expect((await api.request('GET', '/v1/failovers')).json.failovers[0]).toMatchObject({
      site: 'b',
      reason: 'restored',
    });
  });

  it('compare ends with 0 when equal, 3 with the keys when not, 0 when repaired', async () => {
    const equal = await cli('compare');
    expect(equal).toMatchObject({ exit: 0 });
    expect(equal.out).toMatch(/\nequal\n$/);
    await cli('terminals', 'add', '--number', '1001', '--password', 'x', '--id', '17');
    const differs = await cli('compare');
    expect(differs.exit).toBe(3);
    expect(differs.out).toMatch(/a > b +terminals_a +1 +0 +1 +0 +17/);
    expect((await cli('compare', '--repair')).exit).toBe(0);
    expect((await cli('compare')).exit).toBe(0);
  });

  it('alerts says what the coordinator told, and with its exit status whether a trouble lasts', async () => {
    expect(await cli('alerts')).toMatchObject({ exit: 0, out: 'nothing is wrong\n' });
    const connection = await connectRedis(redis.url);
    const told = lastcallEvent('needs-resync', 'a', { from: 'b', to: 'a', reason: 'slot-lost' });
    const at = '2026-11-21T10:00:00.000Z';
    const begin: Notice = { ...told, id: '1', at, phase: 'begin', since: at, withheld: 0 };
    await new AlertBoard(connection, 'a').post(begin);
    await connection.close();
    const run = await cli('alerts');
    expect(run.exit).toBe(3);
    expect(run.out).toMatch(/needs-resync +b > a +2026-11-21 10:00:00 +slot-lost\n/);
    expect(run.out).toMatch(/2026-11-21 10:00:00 +begin +needs-resync/);
    expect(JSON.parse((await cli('alerts', '--json')).out)).toEqual({ open: [begin], recent: [begin] });
  });

  it('ready answers by /readyz of the service', async () => {
    expect(await cli('ready', 'api')).toMatchObject({ exit: 0, err: '' });
    const away = await cli('ready', 'replicator');
    expect(away.exit).toBe(1);
    expect(away.err).toContain('no fixed port');
  });

  it('doctor finds the API and Redis in order', async () => {
    const { findings } = JSON.parse((await cli('doctor', '--json')).out);
    const states = Object.fromEntries(
      findings.map((f: { check: string; state: string }) => [f.check, f.state]),
    );
    expect(states).toMatchObject({ api: 'ok', redis: 'ok', 'peer b': 'ok' });
  });

  it('a lookup works while the command line cannot reach the database: the api answers as for SIP', async () => {
    const number = { terminalId: 91, number: '1091', password: 'x' };
    await api.request('POST', '/v1/terminals', number);
    const called = { callId: 'away', event: 'dialed', from: '1091', to: '5551234' };
    expect((await api.request('POST', '/v1/calls', called)).status).toBe(200);
    const away = sites.configFile('a', {
      postgres: { url: 'postgres://lastcall_app:x@127.0.0.1:1/gone' },
      api: { listen: address, tokens: [{ token: ADMIN_TOKEN, role: 'admin' }] },
    });
    const run = await runCli(['lookup', '1091', '*52', '--json', '--config', away]);
    expect(run).toMatchObject({ exit: 0 });
    expect(JSON.parse(run.out)).toMatchObject({ number: '5551234', site: 'a' });
    expect((await runCli(['lookup', '1091', '*69', '--config', away])).err).toContain('NO_DATA');
  });

  it('over TLS it trusts the certificate that its configuration names, and no other', async () => {
    const own = makeCertificate('own');
    const secure = {
      listen: `127.0.0.1:${await freePort()}`,
      tokens: [{ token: ADMIN_TOKEN, role: 'admin' }],
    };
    const over = (files: object) => ({ redis: { url: redis.url }, api: { ...secure, ...files } });
    const tls = await startApi(sites.config('a', over(own)), { listen: true });
    const bans = (file: string) => runCli(['bans', 'list', '--config', file]);
    expect(await bans(sites.configFile('a', over(own)))).toMatchObject({
      exit: 0,
      out: 'nobody is held back\n',
    });
    const ready = await runCli([
      'ready',
      'api',
      '--degraded-is-ready',
      '--config',
      sites.configFile('a', over(own)),
    ]);
    expect(ready.exit).toBe(0);
    expect((await bans(sites.configFile('a', over(makeCertificate('other'))))).err).toContain(
      'API_UNREACHABLE',
    );
    expect((await bans(sites.configFile('a', over({})))).err).toContain('API_UNREACHABLE');
    await tls.stop();
  });
});

/** Self-signed, for a name that nobody is reached by. */
function makeCertificate(name: string): { certificate: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'lastcall-tls-'));
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject], { stdio: 'ignore' });
  return { certificate, key };
}
