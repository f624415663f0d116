import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SiteMarker } from '../../services/call-control/site-marker.ts';
import { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipResponse } from '../../shared/sip/message/message.ts';
import type { HeaderLine } from '../../shared/sip/message/response.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite, SITE_KEY } from '../support/sip-phone-sites.ts';
import { clearLastCalls, ownRow, untilRow, writeRow } from '../support/site-rows.ts';
import { DOMAIN, passwordOf } from '../support/site-terminals.ts';

let sites: CallSites;
/** A registrar for phones. */
let a: RunningSite;
/** Trusts every source on this machine, as an application server trusts the proxy in front of it. */
let b: RunningSite;
let alice: SipPhone;
let bob: SipPhone;

beforeAll(async () => {
  const terminals = [
    { terminalId: 1, number: '1001', features: ['redial', 'return', 'erase', 'trace'] as const },
    { terminalId: 2, number: '1002' },
    { terminalId: 3, number: '1003' },
    { terminalId: 4, number: '1004', features: [] },
  ];
  sites = await CallSites.start(terminals);
  const calls = {
    featureCodes: { '*52': 'redial', '*69': 'return', '##': 'redial', '*60': 'erase', '*57': 'trace' },
    barredNumbers: ['0900*'],
    emergencyNumbers: ['112'],
  };
  a = await sites.run('a', { calls, sip: { digestAlgorithms: ['SHA-256', 'MD5'] } });
  b = await sites.run('b', { calls, sip: { trustedPeers: ['127.0.0.1'] }, callReturn: { source: 'any' } });
});

beforeEach(async () => {
  await clearLastCalls(sites);
  alice = await sites.registered(a, '1001');
  bob = await sites.registered(a, '1002');
});
afterEach(() => sites.stopPhones());
afterAll(() => sites.stop());

const said = ({ reason, status }: SipResponse): string => `${status} ${reason}`;
const dial = async (phone: SipPhone, dialed: string): Promise<string> =>
  said(await phone.invite(dialed).final());
const now = () => new Date();

describe('what *52 and *69 answer', () => {
  test('F2 C1 no data is 480 with its text', async () => {
    expect(await dial(alice, '*52')).toBe('480 No Last Call Known');
    expect(await dial(alice, '*69')).toBe('480 No Last Call Known');
  });

  test('F3 C5 a withheld last caller is 480 with another text and never falls back to an older number', async () => {
    await writeRow(sites.databases.a, 1, { last_received_call: '1003', last_received_date: '2026-01-01' });
    const call = bob.invite('1001', { headers: [['Privacy', 'id']] });
    await call.provisional(180);
    call.cancel();
    await call.final();
    await untilRow(sites.databases.a, 1, { last_received_call: null });
    expect(await dial(alice, '*69')).toBe('480 Last Caller Withheld');
  });

  test('F4 the own number and a star code in the table are 480, and no INVITE leaves', async () => {
    await writeRow(sites.databases.a, 1, { last_dialed_call: '1001', last_dialed_date: now() });
    expect(await dial(alice, '*52')).toBe('480 Last Call Is Own Number');
    await clearLastCalls(sites);
    await writeRow(sites.databases.a, 1, { last_dialed_call: '*69', last_dialed_date: now() });
    expect(await dial(alice, '*52')).toBe('480 Last Call Is A Feature Code');
    expect(alice.incoming).toEqual([]);
  });

  test('F5 a call that carries this site as its loop marker is 482', async () => {
    const uri = `sip:1002@${DOMAIN}`;
    const copy = MessageDraft.request('INVITE', uri);
    const headers: HeaderLine[] = [
      ['From', '<sip:1001@lastcall.test>;tag=f5'],
      ['Call-ID', 'f5'],
      ['CSeq', '1 INVITE'],
    ];
    for (const [name, value] of headers) copy.append(name, value);
    new SiteMarker({ site: 'b', key: SITE_KEY, now: Date.now }).mark(copy, ['a']);
    const marker = copy.header('x-lastcall-sites') ?? '';
    const peer = await sites.phone(a, '1001', { anonymous: true });
    const call = peer.request('INVITE', uri, { headers: [...headers, ['X-Lastcall-Sites', marker]] });
    expect(said(await call.final())).toBe('482 Loop Detected');
  });

  test('G5 a loop marker of a phone is not believed', async () => {
    const call = alice.invite('*52', { headers: [['X-Lastcall-Sites', 'b, a']] });
    expect(said(await call.final())).toBe('480 No Last Call Known');
  });

  test('F6 Max-Forwards 0 is 483', async () => {
    expect(said(await alice.invite('*52', { headers: [['Max-Forwards', '0']] }).final())).toBe(
      '483 Too Many Hops',
    );
  });

  test('F7 a barred target is 403', async () => {
    await writeRow(sites.databases.a, 1, { last_dialed_call: '09001234', last_dialed_date: now() });
    expect(await dial(alice, '*52')).toBe('403 Number Barred');
  });

  test('R2 an emergency number is never redialed', async () => {
    await writeRow(sites.databases.a, 1, { last_dialed_call: '112', last_dialed_date: now() });
    expect(await dial(alice, '*52')).toBe('480 Emergency Number Not Redialed');
  });

  test('F8 a terminal without the feature is 403', async () => {
    const dave = await sites.phone(a, '1004');
    expect(await dial(dave, '*52')).toBe('403 Feature Not Enabled');
    expect(await dial(dave, '*69')).toBe('403 Feature Not Enabled');
  });

  test('F13 an unknown Require or Proxy-Require is 420 with Unsupported; a known one passes', async () => {
    for (const name of ['Require', 'Proxy-Require']) {
      const answer = await alice.invite('*52', { headers: [[name, 'nothingKnown']] }).final();
      expect([said(answer), answer.header('unsupported')]).toEqual(['420 Bad Extension', 'nothingKnown']);
    }
    const timer = await alice.invite('*52', { headers: [['Require', 'timer']] }).final();
    expect(timer.status).toBe(480);
  });

  test('F17 %2A52 and a configured alias are the same code', async () => {
    await writeRow(sites.databases.a, 1, { last_dialed_call: '1002', last_dialed_date: now() });
    bob.behaviour = { status: 486 };
    expect(await dial(alice, '%2A52')).toBe('486 Busy Here');
    expect(await dial(alice, '%2a52')).toBe('486 Busy Here');
    expect(await dial(alice, '##')).toBe('486 Busy Here');
    expect(await dial(alice, '%23%23')).toBe('486 Busy Here');
    expect(bob.incoming).toHaveLength(4);
  });

  test('a star code is for calls only: MESSAGE to it is 405', async () => {
    const answer = await alice.request('MESSAGE', `sip:*52@${DOMAIN}`).final();
    expect([answer.status, answer.header('allow')]).toEqual([405, 'INVITE, ACK, CANCEL, OPTIONS']);
  });
});

describe('who may', () => {
  test('F10 an unauthenticated caller is challenged with 407, for a number as for a star code', async () => {
    const stranger = await sites.phone(a, '1001', { anonymous: true });
    for (const dialed of ['*52', '1002']) {
      const answer = await stranger.invite(dialed).final();
      expect(said(answer)).toBe('407 Proxy Authentication Required');
      const challenges = answer.headerLines('proxy-authenticate');
      expect(challenges.map((challenge) => /algorithm=([A-Z0-9-]+)/.exec(challenge)?.[1])).toEqual([
        'SHA-256',
        'MD5',
      ]);
    }
    expect(bob.incoming).toEqual([]);
  });

  test('F10 an unknown user and a wrong password are told the same, and nothing is revealed', async () => {
    const unknown = await sites.phone(a, '4711');
    const wrong = await sites.phone(a, '1001', { password: 'guessed' });
    const answers = [await unknown.invite('1002').final(), await wrong.invite('1002').final()];
    expect(answers.map(said)).toEqual([
      '407 Proxy Authentication Required',
      '407 Proxy Authentication Required',
    ]);
    expect(bob.incoming).toEqual([]);
  });

  test('P-Asserted-Identity of a stranger is not believed: the callee sees who authenticated', async () => {
    alice.invite('1002', { headers: [['P-Asserted-Identity', '<sip:1003@lastcall.test>']] });
    const { request } = await bob.call();
    expect(request.values('p-asserted-identity')).toEqual(['<sip:1001@lastcall.test>']);
  });

  test('no open relay: a call to another domain, or along a Route of the caller, does not leave', async () => {
    const victim = await sites.phone(b, '1003');
    const foreign = alice.invite('victim', {
      uri: `sip:victim@${victim.contact.split('@')[1]?.replace('127.0.0.1', 'localhost.localdomain')}`,
    });
    expect((await foreign.final()).status).toBe(403);
    const routed = alice.invite('1003', { headers: [['Route', `<${victim.contact};lr>`]] });
    expect((await routed.final()).status).toBe(403);
    expect(victim.incoming).toEqual([]);
  });

  test('F9 an identity that a trusted proxy asserts and nobody here knows is 404; one that is known is served', async () => {
    const proxy = await SipPhone.start({ server: b.udp, username: 'proxy', password: '', anonymous: true });
    const asserting = (number: string) => ({
      headers: [['P-Asserted-Identity', `<sip:${number}@${DOMAIN}>`]] as const,
    });
    expect(said(await proxy.invite('*69', asserting('4711')).final())).toBe('404 Unknown Terminal');
    expect(said(await proxy.invite('*69').final())).toBe('404 Unknown Terminal');
    expect(said(await proxy.invite('*69', asserting('1001')).final())).toBe('480 No Last Call Known');
    await proxy.stop();
  });
});

describe('the call to the number', () => {
  test('F11 the answer of the target passes unchanged', async () => {
    await writeRow(sites.databases.a, 1, { last_dialed_call: '1002', last_dialed_date: now() });
    for (const [status, reason] of [
      [486, 'In A Meeting'],
      [603, 'Never'],
      [480, 'Do Not Disturb'],
      [408, 'No Time'],
    ] as const) {
      bob.behaviour = { status, reason };
      expect(await dial(alice, '*52')).toBe(`${status} ${reason}`);
    }
  });

  test('F12 CANCEL while *52 rings: 200 to CANCEL, 487 to INVITE, CANCEL downstream', async () => {
    await writeRow(sites.databases.a, 1, { last_dialed_call: '1002', last_dialed_date: now() });
    const call = alice.invite('*52');
    await call.provisional(180);
    call.cancel();
    expect(said(await call.final())).toBe('487 Request Terminated');
    await (await bob.call()).untilCancelled();
    await untilRow(sites.databases.a, 2, { last_received_call: '1001' });
  });

  test('F1 100 Trying is the first answer to a star code', async () => {
    await writeRow(sites.databases.a, 1, { last_dialed_call: '1002', last_dialed_date: now() });
    const call = alice.invite('*52');
    await call.provisional(180);
    expect(call.statuses.at(0)).toBe(100);
  });

  test('F15 the call of *69 names the call it returns in In-Reply-To', async () => {
    const missed = bob.invite('1001');
    await missed.provisional(180);
    missed.cancel();
    await missed.final();
    await untilRow(sites.databases.a, 1, { last_received_call_id: missed.callId });
    alice.invite('*69');
    const { request } = await bob.call();
    expect(request.header('in-reply-to')).toBe(missed.callId);
    expect(request.uri?.kind === 'sip' && request.uri.user).toBe('1002');
  });

  test('F16 *52 keeps the privacy the original call asked for, and From stays as the phone wrote it', async () => {
    const first = alice.invite('1002', { headers: [['Privacy', 'id']] });
    await first.provisional(180);
    first.cancel();
    await first.final();
    await untilRow(sites.databases.a, 1, { last_dialed_call: '1002', last_dialed_privacy: 'id' });
    const redial = alice.invite('*52');
    const { request } = await bob.call(1);
    expect([request.header('privacy'), request.header('p-asserted-identity')]).toEqual(['id', undefined]);
    expect(request.header('from')).toMatch(/^<sip:1001@lastcall\.test>;tag=/);
    const ringing = await redial.provisional(180);
    expect(ringing.header('from')).toMatch(/^<sip:1001@lastcall\.test>;tag=/);
  });

  test('F16 a call without privacy is redialed without', async () => {
    for (const headers of [[['Privacy', 'id']], []] as const) {
      const call = alice.invite('1002', { headers });
      await call.provisional(180);
      call.cancel();
      await call.final();
    }
    await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
    alice.invite('*52');
    const { request } = await bob.call(2);
    expect([request.header('privacy'), request.header('p-asserted-identity')]).toEqual([
      undefined,
      '<sip:1001@lastcall.test>',
    ]);
  });

  test('R1 after *52 and *69 the last dialed number is the resolved one, and a star code is never recorded', async () => {
    await writeRow(sites.databases.a, 1, { last_received_call: '1002', last_received_date: now() });
    bob.behaviour = { status: 486 };
    expect(await dial(alice, '*69')).toBe('486 Busy Here');
    await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
    expect(await dial(alice, '*52')).toBe('486 Busy Here');
    expect(await ownRow(sites.databases.a, 1)).toMatchObject({ last_dialed_call: '1002' });
    await clearLastCalls(sites);
    expect(await dial(alice, '*52')).toBe('480 No Last Call Known');
    expect(await ownRow(sites.databases.a, 1)).toBeUndefined();
  });

  test('F18 source any: *69 returns the fresher of the missed and the answered call', async () => {
    await writeRow(sites.databases.b, 1, {
      last_received_call: '1003',
      last_received_date: '2026-01-01',
      last_terminated_call: '1002',
      last_terminated_date: '2026-01-02',
    });
    const carol = await sites.registered(b, '1002');
    const caller = await SipPhone.start({ server: b.udp, username: '1001', password: passwordOf('1001') });
    caller.invite('*69', { headers: [['P-Asserted-Identity', `<sip:1001@${DOMAIN}>`]] });
    await carol.call();
    await caller.stop();
  });
});

describe('F19 codes that this server answers itself', () => {
  test('erase: received and terminated are erased, *69 then says so, and dialed stays', async () => {
    await writeRow(sites.databases.a, 1, {
      last_received_call: '1002',
      last_received_date: now(),
      last_dialed_call: '1002',
      last_dialed_date: now(),
    });
    expect(await dial(alice, '*60')).toBe('480 Last Callers Erased');
    await untilRow(sites.databases.a, 1, { last_received_call: null, last_dialed_call: '1002' });
    expect(await dial(alice, '*69')).toBe('480 Last Caller Erased');
  });

  test('erase is for those who have it', async () => {
    expect(await dial(bob, '*60')).toBe('403 Feature Not Enabled');
  });

  test('trace leaves its date', async () => {
    expect(await dial(alice, '*57')).toBe('480 Last Call Traced');
    const row = await ownRow(sites.databases.a, 1);
    expect(row?.['last_term_call_trace_date']).toBeInstanceOf(Date);
  });
});
