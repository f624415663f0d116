import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SiteMarker } from '../../services/call-control/site-marker.ts';
import { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { HeaderLine } from '../../shared/sip/message/response.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { OutgoingRequest } from '../support/sip-phone-outgoing.ts';
import { CallSites, type RunningSite, SITE_KEY } from '../support/sip-phone-sites.ts';
import { clearLastCalls, untilRow, writeRow } from '../support/site-rows.ts';
import { DOMAIN, passwordOf } from '../support/site-terminals.ts';

let sites: CallSites;
/** A registrar for phones with a gateway, and no peer site. */
let a: RunningSite;
/** Takes calls of a trunk that sends no P-Asserted-Identity. */
let b: RunningSite;
let gateway: SipPhone;
let alice: SipPhone;
let bob: SipPhone;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  gateway = await SipPhone.start({ server: sites.udp('b'), username: 'gw', password: '', anonymous: true });
  a = await sites.run('a', siteA());
  b = await sites.run('b', {
    peers: { a: {} },
    sip: { trustedPeers: ['127.0.0.1'], trustFrom: ['127.0.0.0/8'] },
  });
});

const siteA = () => ({
  peers: { b: {} },
  sip: { nextHop: gateway.contact.replace('gw@', ''), drainSeconds: 10, maxCallsPerSource: 5 },
  calls: { emergencyNumbers: ['112'] },
});

beforeEach(async () => {
  await clearLastCalls(sites);
  gateway.incoming.length = 0;
  gateway.behaviour = { status: 486 };
  alice = await sites.registered(a, '1001');
  bob = await sites.registered(a, '1002');
});
afterEach(() => sites.stopPhones());
afterAll(async () => {
  await sites.stop();
  await gateway.stop();
});

const portOf = (uri: string): number => Number(/:(\d+)(?:;|$)/.exec(uri)?.[1]);

/** A dialog's request from another phone than the one whose it is. */
const sentBy = (phone: SipPhone, draft: MessageDraft): OutgoingRequest => {
  const { password, username, anonymous } = phone.options;
  const request = new OutgoingRequest(phone.stack, a.udp, anonymous ? null : { username, password });
  request.start(draft);
  return request;
};

const CLAIMS: readonly HeaderLine[] = [
  ['P-Asserted-Identity', `<sip:1009@${DOMAIN}>`],
  ['P-Preferred-Identity', `<sip:1009@${DOMAIN}>`],
  ['Remote-Party-ID', `<sip:1009@${DOMAIN}>`],
  ['P-Served-User', `<sip:1009@${DOMAIN}>`],
  ['Diversion', `<sip:1009@${DOMAIN}>`],
  ['History-Info', `<sip:1009@${DOMAIN}>;index=1`],
  ['Identity', 'made-up'],
  ['P-Charging-Vector', 'icid-value=1'],
  ['P-Charging-Function-Addresses', 'ccf=192.0.2.1'],
  ['P-Access-Network-Info', 'IEEE-802.11'],
  ['X-Lastcall-Sites', 'b'],
  ['X-Lastcall-Anything', '1'],
];
const claimsIn = (text: string): readonly string[] =>
  CLAIMS.map(([name]) => name).filter((name) => new RegExp(`^${name}:`, 'im').test(text));

describe('emergency calls (R2)', () => {
  test('G1 R2 a stranger’s goes to the gateway without the Route and the names that it came with', async () => {
    const stranger = await sites.phone(a, '1001', { anonymous: true });
    const route: HeaderLine = ['Route', `<${a.udp};lr>, <${bob.contact};lr>`];
    const call = stranger.invite('112', { headers: [route, ...CLAIMS] });
    expect((await call.final()).status).toBe(486);
    const { request } = await gateway.call();
    expect([request.values('route'), claimsIn(request.text)]).toEqual([[], []]);
    expect(bob.incoming).toEqual([]);
  });

  test('G1 an emergency number of another domain is an ordinary call', async () => {
    const stranger = await sites.phone(a, '1001', { anonymous: true });
    const foreign = stranger.invite('112', { uri: 'sip:112@elsewhere.test' });
    expect((await foreign.final()).status).toBe(407);
    expect((await alice.invite('112', { uri: 'sip:112@elsewhere.test' }).final()).status).toBe(403);
    expect(gateway.incoming).toEqual([]);
  });

  test('G3 its Record-Route carries nothing but that call', async () => {
    gateway.behaviour = 'answer';
    const stranger = await sites.phone(a, '1001', { anonymous: true });
    const call = stranger.invite('112');
    expect((await call.final()).status).toBe(200);
    const misuse = async (edit: (draft: MessageDraft) => void): Promise<number> => {
      const draft = call.draftInDialog('INVITE');
      edit(draft);
      return (await sentBy(stranger, draft).final()).status;
    };
    expect(await misuse((draft) => draft.setRequestUri(bob.contact))).toBe(481);
    expect(await misuse((draft) => draft.set('to', `<sip:112@${DOMAIN}>;tag=other`))).toBe(481);
    expect(await misuse((draft) => draft.set('to', `<sip:112@${DOMAIN}>`))).toBe(407);
    expect(await misuse((draft) => draft.append('Route', `<${bob.contact};lr>`))).toBe(403);
    expect(await misuse((draft) => draft.set('call-id', 'another'))).toBe(481);
    expect([gateway.incoming.length, bob.incoming.length]).toEqual([1, 0]);
    expect((await call.hangUp()).status).toBe(200);
  });
});

describe('a dialog’s ticket (G3)', () => {
  test('G2 G3 ACK and BYE reach a phone behind a NAT, whatever its Contact says', async () => {
    await bob.unregister();
    Object.defineProperty(bob, 'contact', { value: 'sip:1002@10.255.255.1:5999' });
    expect((await bob.register().final()).status).toBe(200);
    bob.behaviour = 'answer';
    const call = alice.invite('1002');
    expect((await call.final()).status).toBe(200);
    expect((await call.hangUp()).status).toBe(200);
    expect(bob.requests.map(({ method }) => method)).toEqual(['INVITE', 'ACK', 'BYE']);
    expect(bob.requests[0]?.requestUri).toBe(bob.contact);
  });

  test('G3 is over after BYE, and no use to somebody else meanwhile', async () => {
    bob.behaviour = 'answer';
    const call = alice.invite('1002');
    await call.final();
    const mallory = await sites.phone(a, '1002', { username: '1002', password: passwordOf('1002') });
    expect((await sentBy(mallory, call.draftInDialog('INFO')).final()).status).toBe(481);
    const stranger = await sites.phone(a, '1001', { anonymous: true });
    expect((await sentBy(stranger, call.draftInDialog('INFO')).final()).status).toBe(407);
    expect((await call.hangUp()).status).toBe(200);
    expect((await sentBy(alice, call.draftInDialog('INFO')).final()).status).toBe(481);
  });

  test('G3 a phone that moved proves who it is, and hangs up', async () => {
    bob.behaviour = 'answer';
    const call = alice.invite('1002');
    await call.final();
    const moved = await sites.phone(a, '1001');
    expect((await sentBy(moved, call.draftInDialog('BYE')).final()).status).toBe(200);
    expect(bob.requests.at(-1)?.method).toBe('BYE');
  });

  test('G1 an ACK without a ticket goes nowhere, whatever it names', async () => {
    const victim = createSocket('udp4');
    victim.bind(0, '127.0.0.1');
    await once(victim, 'listening');
    const heard: string[] = [];
    victim.on('message', (bytes) => heard.push(bytes.toString()));
    const there = `127.0.0.1:${victim.address().port}`;
    const ways: readonly (readonly [uri: string, more: string])[] = [
      [`sip:x@${there}`, ''],
      [`sip:x@${there};transport=tcp`, ''],
      [`sip:x@${DOMAIN};maddr=127.0.0.1`, ''],
      [`sip:1002@${DOMAIN}`, `Route: <${a.udp};lr>, <sip:${there};lr>\r\n`],
      [`sip:1002@${DOMAIN}`, `Route: <sip:${there};lr>\r\n`],
      [`sip:x@localhost:${portOf(a.udp)}`, ''],
    ];
    for (const [index, [uri, more]] of ways.entries()) {
      const ack = `ACK ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKack${index}\r\n${more}Max-Forwards: 70\r\nFrom: <sip:x@y>;tag=1\r\nTo: <sip:x@y>;tag=2\r\nCall-ID: ack${index}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n`;
      victim.send(ack, portOf(a.udp), '127.0.0.1');
    }
    // The server has had them all when it has answered what came after them.
    expect((await alice.request('OPTIONS', `sip:${DOMAIN}`).final()).status).toBe(200);
    expect((await alice.request('OPTIONS', `sip:${DOMAIN}`).final()).status).toBe(200);
    victim.close();
    expect([heard, bob.requests]).toEqual([[], []]);
  });
});

describe('who somebody is', () => {
  test('G1 what a phone claims of itself goes no further, within the dialog neither, nor do its credentials', async () => {
    bob.behaviour = 'answer';
    const call = alice.invite('1002', { headers: CLAIMS });
    expect((await call.final()).status).toBe(200);
    const info = call.draftInDialog('INFO');
    for (const [name, value] of CLAIMS) info.append(name, value);
    info.append('Proxy-Authorization', `Digest realm="${DOMAIN}", username="1001"`);
    info.append('Proxy-Authorization', 'Digest realm="elsewhere.test", username="1001"');
    expect((await sentBy(alice, info).final()).status).toBe(200);
    const [invite, , last] = bob.requests;
    expect(claimsIn(invite?.text ?? '')).toEqual(['P-Asserted-Identity']);
    expect(invite?.header('p-asserted-identity')).toBe(`<sip:1001@${DOMAIN}>`);
    expect(claimsIn(last?.text ?? '')).toEqual([]);
    expect(invite?.headerLines('proxy-authorization')).toEqual([]);
    expect(last?.headerLines('proxy-authorization')).toEqual([
      'Digest realm="elsewhere.test", username="1001"',
    ]);
  });

  test('G1 From may not name another subscriber; one’s own names and anonymous are fine', async () => {
    const from = async (uri: string) => (await alice.invite('4711', { from: `<${uri}>` }).final()).status;
    expect([await from(`sip:1002@${DOMAIN}`), await from('tel:1002')]).toEqual([403, 403]);
    expect(gateway.incoming).toEqual([]);
    const fine = [`sip:1001@${DOMAIN}`, 'sip:anonymous@anonymous.invalid', `sip:nobody@${DOMAIN}`];
    for (const uri of fine) expect(await from(uri)).toBe(486);
  });

  /** The headers of a request of 1001 that `site` has signed for the other one. */
  const fromSite = (site: string, uri: string, callId: string): HeaderLine[] => {
    const headers: HeaderLine[] = [
      ['From', `<sip:1001@${DOMAIN}>;tag=peer`],
      ['Call-ID', callId],
      ['CSeq', '1 INVITE'],
      ['P-Asserted-Identity', `<sip:1001@${DOMAIN}>`],
    ];
    const copy = MessageDraft.request('INVITE', uri);
    for (const [name, value] of headers) copy.append(name, value);
    new SiteMarker({ site, key: SITE_KEY, now: Date.now }).mark(copy, []);
    return [...headers, ['X-Lastcall-Sites', copy.header('x-lastcall-sites') ?? '']];
  };

  test('G5 a star code is dialled at the caller’s own site: a peer’s is 404', async () => {
    const uri = `sip:*52@${DOMAIN}`;
    await writeRow(sites.databases.b, 1, { last_dialed_call: '1002', last_dialed_date: new Date() });
    const peer = await sites.phone(b, '1001', { anonymous: true });
    const call = peer.request('INVITE', uri, { headers: fromSite('a', uri, 'peer-star') });
    expect((await call.final()).status).toBe(404);
  });

  test('G5 a marker opens the gate once: whoever caught it on the wire is a stranger with it', async () => {
    const uri = `sip:1002@${DOMAIN}`;
    const headers = fromSite('b', uri, 'peer-caught');
    const asks = async () => {
      const anybody = await sites.phone(a, '1003', { anonymous: true });
      return (await anybody.request('INVITE', uri, { headers }).final()).status;
    };
    bob.behaviour = { status: 486 };
    expect([await asks(), await asks()]).toEqual([486, 407]);
    expect(bob.incoming).toHaveLength(1);
  });

  test('R5 a trunk without P-Asserted-Identity is believed in From where the configuration says so', async () => {
    const trunk = await sites.phone(b, '1001', { anonymous: true });
    expect((await trunk.invite('1002').final()).status).toBe(480);
    await untilRow(sites.databases.b, 2, { last_received_call: '1001' });
  });
});

describe('where a phone may call', () => {
  test('G1 a Route that names this server, by any of its names with a port, is its own', async () => {
    bob.behaviour = { status: 486 };
    const port = portOf(a.udp);
    for (const own of [`localhost:${port}`, `${DOMAIN}:${port}`, `127.0.0.1:${port}`, DOMAIN]) {
      const call = alice.invite('1002', { headers: [['Route', `<sip:${own};lr>`]] });
      expect([own, (await call.final()).status]).toEqual([own, 486]);
    }
  });

  test('G1 no URI that it names leads anywhere but to a subscriber or through the gateway', async () => {
    const to = async (uri: string) => (await alice.invite('x', { uri }).final()).status;
    const port = portOf(bob.contact);
    expect(await to(`sip:1002@127.0.0.1:${port}`)).toBe(403);
    expect(await to(`sip:1002@localhost:${port}`)).toBe(403);
    expect(await to(`sip:x@elsewhere.test;maddr=127.0.0.1`)).toBe(403);
    expect(await to(gateway.contact)).toBe(403);
    expect([gateway.incoming, bob.incoming]).toEqual([[], []]);
  });

  test('G1 a call by sips reaches no phone that is not connected by TLS', async () => {
    const secure = alice.invite('1002', { uri: `sips:1002@${DOMAIN}` });
    expect((await secure.final()).status).toBe(480);
    expect(bob.incoming).toEqual([]);
  });
});

test('R2 F14 one address holds no more emergency calls than other calls, and is free again once they end', async () => {
  gateway.behaviour = 'ring';
  const stranger = await sites.phone(a, '1003', { anonymous: true });
  const calls = Array.from({ length: 5 }, () => stranger.invite('112'));
  await Promise.all(calls.map((call) => call.provisional(180)));
  const shed = await stranger.invite('112').final();
  expect([shed.status, Number(shed.header('retry-after')) > 0, gateway.incoming.length]).toEqual([
    503,
    true,
    5,
  ]);
  for (const call of calls) call.cancel();
  for (const call of calls) expect((await call.final()).status).toBe(487);
  gateway.behaviour = { status: 486 };
  expect((await stranger.invite('112').final()).status).toBe(486);
});

test('R2 F14 emergency calls go on while the process drains', async () => {
  const call = alice.invite('1002');
  await call.provisional(180);
  const stopped = a.stop();
  const stranger = await sites.phone(a, '1001', { anonymous: true });
  expect((await stranger.invite('112').final()).status).toBe(486);
  expect((await stranger.invite('1002').final()).status).toBe(503);
  call.cancel();
  expect((await call.final()).status).toBe(487);
  await stopped;
});
