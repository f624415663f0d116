import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { HeaderLine } from '../../shared/sip/message/response.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { OutgoingRequest } from '../support/sip-phone-outgoing.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, untilRow, writeRow } from '../support/site-rows.ts';
import { DOMAIN } from '../support/site-terminals.ts';

let sites: CallSites;
/** Has a gateway for numbers of nobody here, and no peer site. */
let a: RunningSite;
/** Behind a proxy that it trusts and that is its next hop: an application server. */
let b: RunningSite;
/** Gateway and proxy alike: whatever the server sends on arrives here. */
let outside: SipPhone;

beforeAll(async () => {
  const terminals = [
    { terminalId: 1, number: '1001', features: ['redial', 'return', 'erase'] as const },
    { terminalId: 2, number: '1002' },
  ];
  sites = await CallSites.start(terminals);
  outside = await SipPhone.start({
    server: sites.udp('b'),
    username: 'proxy',
    password: '',
    anonymous: true,
  });
  const nextHop = outside.contact.replace('proxy@', '');
  a = await sites.run('a', { peers: { b: {} }, sip: { nextHop } });
  b = await sites.run('b', {
    peers: { a: {} },
    sip: { nextHop, trustedPeers: ['127.0.0.1'] },
    calls: { featureCodes: { '*52': 'redial', '*60': 'erase' }, eraseAnswer: '200' },
  });
});

beforeEach(() => {
  outside.incoming.length = 0;
  outside.behaviour = { status: 486 };
});
afterEach(async () => {
  await sites.stopPhones();
  await clearLastCalls(sites);
});
afterAll(async () => {
  await sites.stop();
  await outside.stop();
});

const asserting = (number: string, ...more: HeaderLine[]): { headers: HeaderLine[] } => ({
  headers: [['P-Asserted-Identity', `<sip:${number}@${DOMAIN}>`], ...more],
});

describe('the gateway', () => {
  test('gets calls to numbers of nobody here, with the proven identity; *52 dials the same digits again', async () => {
    const alice = await sites.registered(a, '1001');
    expect((await alice.invite('+49-30-1234').final()).status).toBe(486);
    const [first] = outside.incoming;
    expect(first?.request.requestUri).toBe(`sip:+49-30-1234@${DOMAIN}`);
    expect(first?.request.header('p-asserted-identity')).toBe(`<sip:1001@${DOMAIN}>`);
    expect(first?.request.header('proxy-authorization')).toBeUndefined();
    await untilRow(sites.databases.a, 1, { last_dialed_call: '+49301234' });
    expect((await alice.invite('*52').final()).status).toBe(486);
    expect(outside.incoming[1]?.request.requestUri).toBe(`sip:+49301234@${DOMAIN}`);
  });

  test('does not get calls to terminals of ours: offline is 480', async () => {
    const alice = await sites.registered(a, '1001');
    expect((await alice.invite('1002').final()).status).toBe(480);
    expect(outside.incoming).toEqual([]);
  });

  test('F5 a call that the proxy sends back as it was is 482, and no proxy sees a word of this system', async () => {
    outside.behaviour = 'manual';
    outside.invite('0301234', asserting('1001'));
    const { request } = await outside.call();
    expect(request.text.toLowerCase()).not.toContain('x-lastcall');
    const back = new OutgoingRequest(outside.stack, b.udp, null);
    back.start(MessageDraft.from(request));
    expect((await back.final()).status).toBe(482);
  });

  test('R2 gets emergency calls at once, without credentials', async () => {
    const stranger = await sites.phone(a, '1001', { anonymous: true });
    expect((await stranger.invite('112').final()).status).toBe(486);
    const service = stranger.invite('sos', { uri: 'urn:service:sos.fire' });
    expect((await service.final()).status).toBe(486);
    expect(outside.incoming.map(({ request }) => request.requestUri)).toEqual([
      `sip:112@${DOMAIN}`,
      'urn:service:sos.fire',
    ]);
  });
});

describe('an application server behind a proxy', () => {
  test('resolves *52 of the identity that the proxy asserts, and sends the call back to the proxy', async () => {
    await writeRow(sites.databases.b, 1, { last_dialed_call: '1002', last_dialed_date: new Date() });
    expect((await outside.invite('*52', asserting('1001')).final()).status).toBe(486);
    expect(outside.incoming[0]?.request.requestUri).toBe(`sip:1002@${DOMAIN}`);
    // R15: nobody else sees how the call ended.
    await untilRow(sites.databases.b, 2, { last_received_call: '1001' });
  });

  test('sends it along the Route that the proxy gave, taking its own value off', async () => {
    await writeRow(sites.databases.b, 1, { last_dialed_call: '1002', last_dialed_date: new Date() });
    const route = `<${b.udp};lr>, <${outside.contact};lr;orig>`;
    expect((await outside.invite('*52', asserting('1001', ['Route', route])).final()).status).toBe(486);
    const request = outside.incoming[0]?.request;
    expect(request?.requestUri).toBe(`sip:1002@${DOMAIN}`);
    expect(request?.values('route')).toEqual([`<${outside.contact};lr;orig>`]);
  });

  test('F19 erase as an answered call: 183, 200 without media, and BYE ends it', async () => {
    const call = outside.invite('*60', asserting('1001'));
    expect((await call.provisional(183)).status).toBe(183);
    const answer = await call.final();
    expect(answer.status).toBe(200);
    expect(answer.body).toContain('m=audio 0 RTP/AVP 0');
    expect((await call.hangUp()).status).toBe(200);
  });
});
