import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, ownRow, untilRow } from '../support/site-rows.ts';
import { DOMAIN } from '../support/site-terminals.ts';

/** A, B and C live at site a, D at site b. */
let sites: CallSites;
let siteA: RunningSite;
let siteB: RunningSite;
let alice: SipPhone;
let bob: SipPhone;
let carol: SipPhone;
let dave: SipPhone;

beforeAll(async () => {
  const terminals = [1, 2, 3, 4, 5, 6, 7, 8].map((terminalId) => ({
    terminalId,
    number: `100${terminalId}`,
  }));
  sites = await CallSites.start(terminals);
  siteA = await sites.run('a', { calls: { emergencyNumbers: ['112'], barredNumbers: ['0900*'] } });
  siteB = await sites.run('b');
});

beforeEach(async () => {
  await clearLastCalls(sites);
  [alice, bob, carol, dave] = await Promise.all([
    sites.registered(siteA, '1001'),
    sites.registered(siteA, '1002'),
    sites.registered(siteA, '1003'),
    sites.registered(siteB, '1004'),
  ]);
});
afterEach(() => sites.stopPhones());
afterAll(() => sites.stop());

/** Answers every call with a 302 to these contacts. */
const sendsOn = (phone: SipPhone, ...contacts: string[]): void => {
  phone.behaviour = { status: 302, headers: [['Contact', contacts.join(', ')]] };
};

const to = (number: string): string => `<sip:${number}@${DOMAIN}>`;

const missedBy = (forwarder: string, original: string) => ({
  last_received_call: '1001',
  last_received_fwd_call: forwarder,
  last_received_orig_cld_call: original,
});

describe("R6 the called phone's 302", () => {
  test('rings whom it names: the last caller of C is A, sent on by B; B has missed nothing', async () => {
    sendsOn(bob, to('1003'));
    carol.behaviour = 'answer';
    const call = alice.invite('1002');
    expect((await call.final()).status).toBe(200);
    expect((await carol.call()).request.values('diversion')).toEqual([
      `<sip:1002@${DOMAIN}>;reason=deflection`,
    ]);
    await untilRow(sites.databases.a, 3, {
      last_terminated_call: '1001',
      last_terminated_fwd_call: '1002',
      last_terminated_orig_cld_call: '1002',
    });
    await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
    expect(await ownRow(sites.databases.a, 2)).toBeUndefined();
    expect((await call.hangUp()).status).toBe(200);
  });

  test('twice over keeps the number that A dialed, and *69 of the last one reaches A', async () => {
    sendsOn(bob, to('1003'));
    sendsOn(carol, to('1004'));
    dave.behaviour = { status: 486 };
    expect((await alice.invite('1002').final()).status).toBe(486);
    await untilRow(sites.databases.b, 4, missedBy('1003', '1002'));
    expect(await ownRow(sites.databases.a, 2)).toBeUndefined();
    expect(await ownRow(sites.databases.a, 3)).toBeUndefined();
    const back = dave.invite('*69');
    await back.provisional(180);
    expect(alice.incoming).toHaveLength(1);
    back.cancel();
    await back.final();
  });

  test('after it rang, and CANCEL while the next one rings, is a missed call of the next one only', async () => {
    bob.behaviour = 'manual';
    const call = alice.invite('1002');
    const atBob = await bob.call();
    atBob.ring();
    await call.provisional(180);
    atBob.reject(302, 'No Reply', [['Contact', to('1003')]]);
    const atCarol = await carol.call();
    call.cancel();
    expect((await call.final()).status).toBe(487);
    await atCarol.untilCancelled();
    await untilRow(sites.databases.a, 3, missedBy('1002', '1002'));
    expect(await ownRow(sites.databases.a, 2)).toBeUndefined();
  });

  test('to a number with no phone is missed there, 480', async () => {
    await carol.unregister();
    sendsOn(bob, to('1003'));
    expect((await alice.invite('1002').final()).status).toBe(480);
    await untilRow(sites.databases.a, 3, missedBy('1002', '1002'));
    expect(await ownRow(sites.databases.a, 2)).toBeUndefined();
  });

  test('names several: the best by q that may be called', async () => {
    sendsOn(bob, `${to('1004')};q=0.1`, `${to('1003')};q=0.5`, `${to('4711')};q=0.9`);
    carol.behaviour = { status: 486 };
    expect((await alice.invite('1002').final()).status).toBe(486);
    expect(carol.incoming).toHaveLength(1);
    expect(dave.incoming).toHaveLength(0);
  });
});

describe('R15 at another site', () => {
  test('is followed by the site of the caller, and only the last callee is written', async () => {
    sendsOn(dave, to('1003'));
    carol.behaviour = { status: 603 };
    expect((await alice.invite('1004').final()).status).toBe(603);
    await untilRow(sites.databases.a, 3, missedBy('1004', '1004'));
    expect(await ownRow(sites.databases.a, 4)).toBeUndefined();
    expect(await ownRow(sites.databases.b, 4)).toBeUndefined();
  });

  test('and not to be followed, is missed once, written by the site of the caller', async () => {
    sendsOn(dave, '<sip:1003@elsewhere.test>');
    expect((await alice.invite('1004').final()).status).toBe(302);
    await untilRow(sites.databases.a, 4, { last_received_call: '1001', last_received_fwd_call: null });
    expect(await ownRow(sites.databases.b, 4)).toBeUndefined();
  });
});

describe('F11 a 302 that may not be followed passes unchanged, and its sender has missed the call', () => {
  test.each([
    ['a number that nobody has', to('4711')],
    ['another domain', '<sip:1003@elsewhere.test>'],
    ['the caller', to('1001')],
    ['itself', to('1002')],
    ['nobody', `<sip:${DOMAIN}>`],
  ])('to %s', async (_whom, contact) => {
    sendsOn(bob, contact);
    const answer = await alice.invite('1002').final();
    expect([answer.status, answer.header('contact')]).toEqual([302, contact]);
    await untilRow(sites.databases.a, 2, { last_received_call: '1001', last_received_fwd_call: null });
    expect(bob.incoming).toHaveLength(1);
    expect(alice.incoming).toHaveLength(0);
  });

  test('back to one who sent it on before: nobody rings twice', async () => {
    sendsOn(bob, to('1003'));
    sendsOn(carol, to('1002'));
    expect((await alice.invite('1002').final()).status).toBe(302);
    await untilRow(sites.databases.a, 3, missedBy('1002', '1002'));
    expect([bob.incoming.length, carol.incoming.length]).toEqual([1, 1]);
  });

  test('for the sixth time', async () => {
    const others = await Promise.all(
      ['1005', '1006', '1007', '1008'].map((number) => sites.registered(siteA, number)),
    );
    const chain = [bob, carol, dave, ...others];
    for (const [index, phone] of chain.entries()) sendsOn(phone, to(`100${index + 3}`));
    expect((await alice.invite('1002').final()).status).toBe(302);
    expect(chain.map((phone) => phone.incoming.length)).toEqual([1, 1, 1, 1, 1, 1, 0]);
    await untilRow(sites.databases.a, 7, missedBy('1006', '1002'));
  });

  test('while another phone of the terminal declines for all (603)', async () => {
    sendsOn(bob, to('1003'));
    const second = await sites.registered(siteA, '1002');
    second.behaviour = { status: 603 };
    expect((await alice.invite('1002').final()).status).toBe(603);
    await untilRow(sites.databases.a, 2, { last_received_call: '1001' });
    expect(carol.incoming).toHaveLength(0);
  });
});

describe('where a gateway takes every number and domain', () => {
  let gateway: SipPhone;

  beforeAll(async () => {
    gateway = await SipPhone.start({ server: siteA.udp, username: 'gw', password: '', anonymous: true });
    gateway.behaviour = { status: 486 };
    await siteA.stop();
    siteA = await sites.run('a', {
      sip: { nextHop: gateway.contact.replace('gw@', ''), foreignDomains: 'gateway' },
      calls: { emergencyNumbers: ['112'], barredNumbers: ['0900*'] },
    });
  });
  afterAll(() => gateway.stop());

  test.each([
    ['a star code', to('*52')],
    ['an escaped star code', to('%2A69')],
    ['an emergency number', to('112')],
    ['an emergency service', '<urn:service:sos>'],
    ['a barred number', to('0900123')],
    ['a barred number of another domain', '<sip:0900123@elsewhere.test>'],
  ])('F4, F7, R2 a 302 to %s passes unchanged', async (_whom, contact) => {
    sendsOn(bob, contact);
    expect((await alice.invite('1002').final()).status).toBe(302);
    await untilRow(sites.databases.a, 2, { last_received_call: '1001', last_received_fwd_call: null });
    expect(gateway.incoming).toHaveLength(0);
  });

  test.each([
    ['a number that nobody here has', `sip:4711@${DOMAIN}`],
    ['another domain', 'sip:1002@elsewhere.test'],
  ])('a 302 to %s goes there, as the caller could have dialed it', async (_whom, uri) => {
    sendsOn(bob, `<${uri}>`);
    const known = gateway.incoming.length;
    expect((await alice.invite('1002').final()).status).toBe(486);
    const { request } = await gateway.call(known);
    expect(request.requestUri).toBe(uri);
    expect(request.values('diversion')).toEqual([`<sip:1002@${DOMAIN}>;reason=deflection`]);
  });
});
