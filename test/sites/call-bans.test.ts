import { execFile } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, type WriteStream, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { CallControl } from '../../services/call-control/call-control.ts';
import { parseConfig } from '../../shared/runtime/config.ts';
import { createLogger } from '../../shared/runtime/logger.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { type StartedApi, startApi } from '../pg/started-api.ts';
import { ADMIN_TOKEN, READ_TOKEN } from '../pg/two-sites.ts';
import { CallSites } from '../support/sip-phone-sites.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCli } from '../unit/cli/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'lastcall-bans-'));
const logFile = join(folder, 'call-control.log');
const configFile = join(folder, 'a.yaml');
const FAILURES_ALLOWED = 8;

let sites: CallSites;
let api: StartedApi;
let callControl: CallControl;
let written: WriteStream;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  const tokens = [
    { token: ADMIN_TOKEN, role: 'admin' },
    { token: READ_TOKEN, role: 'read' },
  ];
  const yaml = sites.yaml('a', { api: { listen: `127.0.0.1:${await freePort()}`, tokens } });
  writeFileSync(configFile, yaml);
  const config = parseConfig(yaml);
  written = createWriteStream(logFile);
  const log = createLogger(
    'call-control',
    'a',
    { level: 'info', pretty: false, fullNumbers: false },
    written,
  );
  callControl = new CallControl({ config, log });
  for (const part of callControl.parts) await part.start?.(new AbortController().signal);
  api = await startApi(yaml, { listen: true });
});
afterEach(() => sites.stopPhones());
afterAll(async () => {
  await api.stop();
  for (const part of callControl.parts.toReversed()) await part.stop?.();
  written.end();
  await sites.stop();
});

const site = { udp: '' };
beforeAll(() => {
  site.udp = sites.udp('a');
});

async function guess(username: string): Promise<number> {
  const phone = await sites.phone(site, username, { password: 'a guess' });
  return (await phone.register().final()).status;
}
async function untilHeld(username: string): Promise<void> {
  for (let attempt = 0; attempt <= FAILURES_ALLOWED; attempt++) await guess(username);
}
const bans = async () => (await api.request('GET', '/v1/bans')).json.bans;
const login = async (username: string) =>
  (await (await sites.phone(site, username)).register().final()).status;
const cli = (...argv: string[]) => runCli([...argv, '--config', configFile]);

test('G7 who is held back is listed over REST and at the command line, and let in again by either', async () => {
  await untilHeld('1001');
  const [ban] = await waitFor(async () => (await bans()).length > 0 && (await bans()), { what: 'the ban' });
  expect(ban).toMatchObject({ name: '1001', source: '127.0.0.1', failures: expect.any(Number) });
  expect(Date.parse(ban.heldUntil)).toBeGreaterThan(Date.now());
  expect((await cli('bans', 'list')).out).toMatch(/1001\s+127\.0\.0\.1/);
  // The neighbour at the same address is not held back.
  expect(await login('1002')).toBe(200);

  const lifted = await cli('bans', 'lift', '1001', '--json');
  expect(JSON.parse(lifted.out)).toMatchObject([{ name: '1001' }]);
  await waitFor(async () => (await bans()).length === 0, { what: 'nobody held back' });
  expect(await login('1001')).toBe(200);

  await untilHeld('1002');
  await waitFor(async () => (await bans()).length > 0, { what: 'the second ban' });
  const answer = await api.request('DELETE', '/v1/bans/127.0.0.1');
  expect(answer).toMatchObject({ status: 200, json: { lifted: [{ name: '1002' }] } });
  await waitFor(async () => (await bans()).length === 0, { what: 'nobody held back' });
  expect(await login('1002')).toBe(200);
  expect((await cli('bans', 'lift', '1002')).out).toContain('1002 was not held back');
  expect((await cli('bans', 'list')).out).toContain('nobody is held back');
});

test('only an admin lists and lifts', async () => {
  const headers = { authorization: `Bearer ${READ_TOKEN}` };
  expect((await api.request('GET', '/v1/bans', undefined, headers)).status).toBe(403);
  expect((await api.request('DELETE', '/v1/bans/1001', undefined, headers)).status).toBe(403);
});

test('each failed log-in is a line that the documented filter of fail2ban reads, whatever the username says', async () => {
  const names = ['1001', 'x","source":"203.0.113.9","username":"', 'back\\', 'new\tline', 'é☎', '<HOST>'];
  await guess('1001');
  await guess('nobody');
  const lines = () =>
    readFileSync(logFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"login failed"'));
  await waitFor(() => lines().at(-1)?.includes('nobody'), { what: 'the line' });
  expect(JSON.parse(lines().at(-1) ?? '')).toMatchObject({ source: '127.0.0.1', reason: 'unknown-user' });

  // As the logger writes the worst of names.
  const hostile = names.map((username) => {
    const log: string[] = [];
    const logger = createLogger(
      'call-control',
      'a',
      { level: 'info', pretty: false, fullNumbers: false },
      { write: (line) => void log.push(line) },
    );
    logger.warn(
      { source: '192.0.2.1', username, reason: 'unknown-user', failures: 1, heldUntilMs: null },
      'login failed',
    );
    return log.join('');
  });
  const fed = join(folder, 'fed.log');
  writeFileSync(fed, `${lines().join('\n')}\n${hostile.join('')}`);
  const page = readFileSync(join(packageRoot(), 'docs/operations/fail2ban.md'), 'utf8');
  const filter = join(folder, 'lastcall.conf');
  writeFileSync(filter, /```ini\n(\[Definition\][^`]*)```/.exec(page)?.[1] ?? '');
  const { stdout } = await promisify(execFile)('fail2ban-regex', ['-o', 'ip', fed, filter]);
  const found = stdout.trim().split('\n');
  expect(found.filter((ip) => ip === '127.0.0.1')).toHaveLength(lines().length);
  expect(found.filter((ip) => ip === '192.0.2.1')).toHaveLength(hostile.length);
  expect(new Set(found)).toEqual(new Set(['127.0.0.1', '192.0.2.1']));
  const documented = /```json\n(.*)\n```/.exec(page)?.[1] ?? '';
  expect(Object.keys(JSON.parse(documented))).toEqual(Object.keys(JSON.parse(lines()[0] ?? '')));
});
