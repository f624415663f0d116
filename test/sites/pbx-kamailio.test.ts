import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../shared/servers/free-port.ts';
import { type StartedApi, startApi } from '../pg/started-api.ts';
import { ADMIN_TOKEN, RECORD_TOKEN, startTwoSites, type TwoSites } from '../pg/two-sites.ts';
import { type KamailioServer, startKamailio } from '../support/kamailio.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { DOMAIN, passwordOf } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

// docs/pbx/kamailio.md: the files of docs/pbx/kamailio, with other addresses.
let sites: TwoSites;
let redis: RedisServer;
let api: StartedApi;
let kamailio: KamailioServer;
let alice: SipPhone;
let bob: SipPhone;

beforeAll(async () => {
  [sites, redis] = await Promise.all([startTwoSites(), startRedis()]);
  const [port, rest] = [await freePort(), await freePort()];
  const tokens = [
    { token: RECORD_TOKEN, role: 'record' },
    { token: ADMIN_TOKEN, role: 'admin' },
  ];
  const overrides = { redis: { url: redis.url }, api: { listen: `127.0.0.1:${rest}`, tokens } };
  api = await startApi(sites.config('a', overrides), { listen: true });
  for (const [terminalId, number] of [
    [1, '1001'],
    [2, '1002'],
  ])
    await api.request('POST', '/v1/terminals', { terminalId, number, password: 'not used here' });
  const places = {
    '10.0.0.5:5060': `127.0.0.1:${port}`,
    'http://10.0.0.11:8080': `http://127.0.0.1:${rest}`,
    'token of the role record': RECORD_TOKEN,
    'example.net': DOMAIN,
    'password of 1001': passwordOf('1001'),
    'password of 1002': passwordOf('1002'),
  };
  const files = ['kamailio.cfg', 'subscribers.cfg', 'lastcall-token.cfg'];
  kamailio = await startKamailio('docs/pbx/kamailio', files, places, port);
  const phone = (username: string): Promise<SipPhone> =>
    SipPhone.registered({ server: kamailio.uri, username, password: passwordOf(username) });
  [alice, bob] = [await phone('1001'), await phone('1002')];
  alice.behaviour = bob.behaviour = { status: 486 };
});
afterEach(() => {
  for (const phone of [alice, bob]) {
    phone.incoming.length = 0;
    phone.behaviour = { status: 486 };
  }
});
afterAll(async () => {
  await Promise.all([alice?.stop(), bob?.stop()]);
  await kamailio?.stop();
  await api?.stop();
  await Promise.all([sites?.server.remove(), redis?.remove()]);
});

const status = async (phone: SipPhone, dialed: string): Promise<number> =>
  (await phone.invite(dialed).final()).status;
const group = async (terminalId: number, name: string): Promise<unknown> =>
  (await api.request('GET', `/v1/terminals/${terminalId}/lastcalls`)).json[name]?.number ?? null;
const untilGroup = (terminalId: number, name: string, number: string): Promise<boolean> =>
  waitFor(async () => (await group(terminalId, name)) === number, {
    what: `${name} of ${terminalId} to be ${number}`,
  });

test('C1 a star code without a last call is 480', async () => {
  expect(await status(alice, '*52')).toBe(480);
  expect(await status(alice, '*69')).toBe(480);
});

test('a call is reported; then *52 repeats it, and *69 returns it', async () => {
  bob.behaviour = { status: 486 };
  expect(await status(alice, '1002')).toBe(486);
  await untilGroup(1, 'dialed', '1002');
  await untilGroup(2, 'received', '1001');
  expect(await status(alice, '*52')).toBe(486);
  expect(bob.incoming).toHaveLength(2);
  alice.behaviour = { status: 486 };
  expect(await status(bob, '*69')).toBe(486);
  expect(alice.incoming).toHaveLength(1);
});

test('an answered call is reported as answered', async () => {
  bob.behaviour = 'answer';
  const call = alice.invite('1002');
  expect((await call.final()).status).toBe(200);
  await untilGroup(2, 'terminated', '1001');
  expect((await call.hangUp()).status).toBe(200);
});

test('R7 a withheld caller is reported as withheld', async () => {
  bob.behaviour = { status: 486 };
  expect((await alice.invite('1002', { headers: [['Privacy', 'id']] }).final()).status).toBe(486);
  await waitFor(async () => (await status(bob, '*69')) === 480, { what: '*69 to know that it was withheld' });
});

test('what would break the JSON or the URL is refused before', async () => {
  expect(await status(alice, '12%22,%22event%22:%22missed')).toBe(484);
});
