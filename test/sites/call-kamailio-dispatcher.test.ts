import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { freePort } from '../../shared/servers/free-port.ts';
import { documentedFile, type KamailioServer, type Places, startKamailio } from '../support/kamailio.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, ownRow, untilRow } from '../support/site-rows.ts';
import { DOMAIN, passwordOf } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

// docs/sip/kamailio.md: the files of docs/sip/kamailio, with other addresses.
const FOLDER = 'docs/sip/kamailio';

let sites: CallSites;
let kamailio: KamailioServer;
let callControls: RunningSite[];
let alice: SipPhone;
let bob: SipPhone;
let start: (port: number) => Promise<RunningSite>;
let ports: readonly [first: number, second: number];

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  const port = await freePort();
  ports = [await freePort(), await freePort()];
  const places: Places = {
    '10.0.0.5:5060': `127.0.0.1:${port}`,
    '10.0.0.5/32': '127.0.0.1/32',
    '10.0.0.11:5060': `127.0.0.1:${ports[0]}`,
    '10.0.0.12:5060': `127.0.0.1:${ports[1]}`,
    'example.net': DOMAIN,
    'password of 1001': passwordOf('1001'),
    'password of 1002': passwordOf('1002'),
  };
  const { sip } = parse(await documentedFile(`${FOLDER}/lastcall.yaml`, places));
  start = (own) =>
    sites.run('a', {
      sip: { ...sip, udp: `127.0.0.1:${own}`, tcp: undefined, ws: undefined },
      peers: { b: {} },
    });
  callControls = [await start(ports[0]), await start(ports[1])];
  kamailio = await startKamailio(
    FOLDER,
    ['kamailio.cfg', 'dispatcher.list', 'subscribers.cfg'],
    places,
    port,
  );
  [alice, bob] = await Promise.all([phone('1001'), phone('1002')]);
});
afterEach(async () => {
  for (const each of [alice, bob]) {
    each.behaviour = { status: 486 };
    each.incoming.length = 0;
  }
  await clearLastCalls(sites);
});
afterAll(async () => {
  await Promise.all([alice?.stop(), bob?.stop()]);
  await kamailio?.stop();
  await sites?.stop();
});

async function phone(username: string): Promise<SipPhone> {
  const registered = await SipPhone.registered({
    server: kamailio.uri,
    username,
    password: passwordOf(username),
  });
  registered.behaviour = { status: 486 };
  return registered;
}
const dialed = async (caller: SipPhone, code: string): Promise<number> =>
  (await caller.invite(code).final()).status;

test('a call goes by way of a call-control to the phone; then *52 repeats it, and *69 returns it', async () => {
  expect(await dialed(alice, '1002')).toBe(486);
  expect(bob.incoming[0]?.request.header('p-asserted-identity')).toBe(`<sip:1001@${DOMAIN}>`);
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
  await untilRow(sites.databases.a, 2, { last_received_call: '1001' });
  expect(await dialed(alice, '*52')).toBe(486);
  expect(bob.incoming).toHaveLength(2);
  expect(await dialed(bob, '*69')).toBe(486);
  expect(alice.incoming).toHaveLength(1);
});

test('an answered call is hung up through both servers', async () => {
  bob.behaviour = 'answer';
  const call = alice.invite('1002');
  expect((await call.final()).status).toBe(200);
  expect((await call.hangUp()).status).toBe(200);
  await waitFor(() => bob.requests.some(({ method }) => method === 'BYE'), { what: 'BYE at the callee' });
  await untilRow(sites.databases.a, 2, { last_terminated_call: '1001' });
});

test('R7 a withheld number reaches neither the callee nor *69', async () => {
  const privacy = [['Privacy', 'id']] as const;
  expect((await alice.invite('1002', { headers: privacy }).final()).status).toBe(486);
  expect(bob.incoming[0]?.request.header('p-asserted-identity')).toBeUndefined();
  expect(await dialed(bob, '*69')).toBe(480);
});

test('without a password nobody calls, and nobody as somebody else', async () => {
  const stranger = await SipPhone.start({
    server: kamailio.uri,
    username: '1001',
    password: '',
    anonymous: true,
  });
  expect((await stranger.invite('1002').final()).status).toBe(407);
  await stranger.stop();
  const asBob = alice.invite('*69', { from: `<sip:1002@${DOMAIN}>` });
  expect((await asBob.final()).status).toBe(407);
});

test('F14 a call-control that goes is left out, and calls go on; without any, star codes are 503', async () => {
  await callControls[0]?.stop();
  for (let count = 0; count < 4; count++) expect(await dialed(alice, '1002')).toBe(486);
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
  expect(await dialed(alice, '*52')).toBe(486);
  await callControls[1]?.stop();
  await clearLastCalls(sites);
  expect(await dialed(alice, '1002')).toBe(486);
  const refused = await alice.invite('*52').final();
  expect([refused.status, refused.header('retry-after')]).toEqual([503, '5']);
  expect(await ownRow(sites.databases.a, 1)).toBeUndefined();

  callControls = [await start(ports[0])];
  await waitFor(
    async () => {
      await dialed(alice, '1002');
      return (await dialed(alice, '*52')) === 486;
    },
    { what: 'calls to go by way of the call-control that is back', everyMs: 500 },
  );
});
