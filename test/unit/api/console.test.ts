import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, expect, it } from 'vitest';
import { readConsoleFiles } from '../../../services/api/console-files.ts';
import { consoleSettings, contentSecurityPolicy } from '../../../services/api/console-settings.ts';
import { wireApi } from '../../../services/api/wire.ts';
import { parseConfig } from '../../../shared/runtime/config.ts';

const ADMIN = 'a-token-that-is-long';
const READER = 'another-that-is-long';
const config = parseConfig(`
site: a
domain: lastcall.test
postgres: { url: 'postgres://u:p@127.0.0.1:1/x' }
redis: { url: 'redis://127.0.0.1:1' }
sip: { ws: '127.0.0.1:5062', wss: '0.0.0.0:5063', certificate: x.pem, key: x.key }
api:
  tokens: [{ token: ${ADMIN}, role: admin }, { token: ${READER}, role: read }]
  demoAccounts: [{ username: '1001', password: 'pw-of-1001' }]
`);
const { app, parts } = wireApi(config, pino({ level: 'silent' }));
afterAll(async () => {
  await app.close();
  for (const part of parts) if (part.name !== 'http') await part.stop?.();
});
const get = (url: string, token?: string) =>
  app.inject({ url, headers: token ? { authorization: `Bearer ${token}` } : {} });

it('the page connects to its api and to the SIP listeners of this site, and runs nothing from elsewhere', () => {
  const policy = contentSecurityPolicy(consoleSettings(config));
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self';");
  expect(policy).toContain("connect-src 'self' wss://*:5063 ws://127.0.0.1:5062;");
  expect(policy).not.toContain('unsafe');
});

it('a site that advertises a name is connected to by that name, an IPv6 address in brackets', () => {
  const { api, sip } = config;
  const named = consoleSettings({ api, sip: { ...sip, advertise: 'sip.example.net', ws: null } });
  expect(contentSecurityPolicy(named)).toContain("'self' wss://sip.example.net:5063;");
  const six = consoleSettings({ api, sip: { ...sip, ws: { host: '::1', port: 1 }, wss: null } });
  expect(contentSecurityPolicy(six)).toContain("'self' ws://[::1]:1;");
});

it('what the console asks of its site needs a token, and the demonstration accounts an admin', async () => {
  expect((await get('/v1/console')).statusCode).toBe(401);
  expect((await get('/v1/console', READER)).json()).toEqual({
    site: 'a',
    domain: 'lastcall.test',
    codes: [
      { code: '*52', feature: 'redial' },
      { code: '*69', feature: 'return' },
    ],
    servers: [
      { scheme: 'wss', host: null, port: 5063 },
      { scheme: 'ws', host: '127.0.0.1', port: 5062 },
    ],
  });
  expect((await get('/v1/console/accounts', READER)).statusCode).toBe(403);
  expect((await get('/v1/console/accounts', ADMIN)).json()).toEqual({
    accounts: [{ username: '1001', password: 'pw-of-1001' }],
  });
});

it('nothing but the files of the console is served below /console/', async () => {
  expect((await get('/console')).headers.location).toBe('/console/');
  for (const path of ['..%2Fapi%2Fmain.js', '%2Fetc%2Fpasswd', 'main.tsx', '__proto__', 'constructor'])
    expect((await get(`/console/${path}`)).statusCode).toBe(404);
});

it('a checkout that was not built serves no console', () => {
  const folder = mkdtempSync(join(tmpdir(), 'console-'));
  expect(readConsoleFiles(folder)).toEqual(new Map());
  rmSync(folder, { recursive: true });
});
