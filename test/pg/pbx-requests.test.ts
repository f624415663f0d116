import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';
import { documentedFile } from '../support/kamailio.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';
import { type StartedApi, startApi } from './started-api.ts';
import { ADMIN_TOKEN, RECORD_TOKEN, startTwoSites, type TwoSites } from './two-sites.ts';

// docs/pbx/asterisk.md and freeswitch.md: the requests as they stand in their files, with a call's values in the variables.
let sites: TwoSites;
let redis: RedisServer;
let api: StartedApi;
let rest: string;

beforeAll(async () => {
  [sites, redis] = await Promise.all([startTwoSites(), startRedis()]);
  rest = `127.0.0.1:${await freePort()}`;
  const tokens = [
    { token: RECORD_TOKEN, role: 'record' },
    { token: ADMIN_TOKEN, role: 'admin' },
  ];
  api = await startApi(sites.config('a', { redis: { url: redis.url }, api: { listen: rest, tokens } }), {
    listen: true,
  });
});
beforeEach(async () => {
  for (const [terminalId, number] of [
    [1, '1001'],
    [2, '1002'],
  ] as const) {
    await api.request('DELETE', `/v1/terminals/${terminalId}`);
    await api.request('POST', '/v1/terminals', { terminalId, number, password: 'not used here' });
  }
});
afterAll(async () => {
  await api.stop();
  await Promise.all([sites.server.remove(), redis.remove()]);
});

/** One request of a recipe: what it sends, and the body that comes back. */
type Ask = (url: string, body: string | null) => Promise<{ status: number; text: string }>;

function asking(headers: Readonly<Record<string, string>>): Ask {
  return async (url, body) => {
    const response = await fetch(url, body === null ? { headers } : { method: 'POST', headers, body });
    return { status: response.status, text: await response.text() };
  };
}

/** Both codes without a call, then the recipe's reports, then both codes again. */
async function expectRecipe(
  target: (from: string, code: string) => ReturnType<Ask>,
  report: (event: string, callId: string) => ReturnType<Ask>,
): Promise<void> {
  const [first, second] = [randomUUID(), randomUUID()];
  expect(await target('1001', '52')).toEqual({ status: 404, text: '' });
  expect((await report('dialed', first)).status).toBe(200);
  expect((await report('missed', first)).status).toBe(200);
  expect(await target('1001', '52')).toEqual({ status: 200, text: '1002' });
  expect(await target('1002', '69')).toEqual({ status: 200, text: '1001' });
  expect((await report('answered', second)).status).toBe(200);
  const { json } = await api.request('GET', '/v1/terminals/2/lastcalls');
  expect(json.terminated).toMatchObject({ number: '1001', withheld: false });
}

test('the requests of the Asterisk dial plan', async () => {
  const text = await documentedFile('docs/pbx/asterisk/extensions.conf', {
    'http://10.0.0.11:8080': `http://${rest}`,
    'token of the role record': RECORD_TOKEN,
  });
  const globals = Object.fromEntries(
    [...text.matchAll(/^(LASTCALL\w*)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
  const filled = (template: string, values: Readonly<Record<string, string>>): string =>
    Object.entries({ ...globals, ...values })
      .reduce((so, [name, value]) => so.replaceAll(`\${${name}}`, value), template)
      .replace(/\$\{URIENCODE\(([^)]*)\)\}/g, (_, inner: string) => encodeURIComponent(inner));
  const headers = Object.fromEntries(
    [...text.matchAll(/CURLOPT\(httpheader\)=([^:]+): (.*)\)$/gm)].map(([, name = '', value = '']) => [
      name,
      filled(value, {}),
    ]),
  );
  const ask = asking(headers);
  const targetUrl = /\$\{CURL\((\$\{LASTCALL\}\/v1\/target[^\n]*?)\)\}\)\}\)$/m.exec(text)?.[1] ?? '';
  const bodies = [...text.matchAll(/\$\{CURL\((\$\{LASTCALL\}\/v1\/calls),(\{[^\n]*\})\)\}\)$/gm)];
  expect(bodies).toHaveLength(3);
  await expectRecipe(
    (from, code) => ask(filled(targetUrl, { 'CALLERID(num)': from, ARG1: `%2A${code}` }), null),
    (event, callId) => {
      const [, url = '', body = ''] = bodies.find(([line]) => line.includes(`"event":"${event}"`)) ?? [];
      const values = {
        LASTCALL_FROM: '1001',
        LASTCALL_TO: '1002',
        LASTCALL_WITHHELD: 'false',
        UNIQUEID: callId,
        ARG1: '1001',
        ARG2: '1002',
        ARG3: callId,
        ARG4: 'false',
      };
      return ask(filled(url, values), filled(body, values));
    },
  );
});

test('the requests of the FreeSWITCH dial plan, through the HAProxy beside it', async () => {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'lastcall-haproxy-'));
  const haproxy = await startHaproxy(folder, port);
  try {
    const xml = (await readFile(join(packageRoot(), 'docs/pbx/freeswitch/lastcall.xml'), 'utf8'))
      .replaceAll('127.0.0.1:8089', `127.0.0.1:${port}`)
      .replaceAll('&quot;', '"')
      .replaceAll('&amp;', '&');
    const filled = (template: string, values: Readonly<Record<string, string>>): string =>
      Object.entries(values).reduce((so, [name, value]) => so.replaceAll(name, value), template);
    const targetUrl = /(http:\S*\/v1\/target\S*) get/.exec(xml)?.[1] ?? '';
    const bodies = [...xml.matchAll(/(http:\S*\/v1\/calls) content-type (\S+) post (\{[^\n]*\})"\/>/g)];
    expect(bodies).toHaveLength(3);
    await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200, {
      what: 'HAProxy to find the api',
    });
    await expectRecipe(
      (from, code) =>
        asking({})(filled(targetUrl, { '${url_encode(${caller_id_number})}': from, $1: code }), null),
      (event, callId) => {
        const [, url = '', type = '', body = ''] =
          bodies.find(([line]) => line.includes(`"event":"${event}"`)) ?? [];
        const values = {
          '${uuid}': callId,
          '${lastcall_from}': '1001',
          '${lastcall_to}': '1002',
          '${lastcall_withheld}': 'false',
        };
        return asking({ 'content-type': type })(url, filled(body, values));
      },
    );
  } finally {
    await haproxy.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

async function startHaproxy(folder: string, port: number): Promise<ServerProcess> {
  const file = join(folder, 'haproxy.cfg');
  const text = await documentedFile('docs/pbx/freeswitch/haproxy.cfg', {
    '127.0.0.1:8089': `127.0.0.1:${port}`,
    '10.0.0.11:8080': rest,
    '10.1.0.11:8080': '127.0.0.1:1',
    'token-of-the-role-record': RECORD_TOKEN,
  });
  await writeFile(file, text);
  return startServerProcess({
    file: 'haproxy',
    args: ['-db', '-f', file],
    spawn: {},
    stopSignal: 'SIGTERM',
    ready: async () => true,
    removeFolder: folder,
  });
}
