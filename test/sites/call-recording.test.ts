import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { query } from '../support/replication-pair.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, ownRow, untilRow } from '../support/site-rows.ts';
import { DOMAIN, provision } from '../support/site-terminals.ts';

let sites: CallSites;
let a: RunningSite;
/** Behind a PBX whose assertions it believes. */
let b: RunningSite;
let alice: SipPhone;
let bob: SipPhone;

beforeAll(async () => {
  const terminals = [
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ];
  sites = await CallSites.start(terminals);
  a = await sites.run('a', { peers: { b: {} }, calls: { emergencyNumbers: ['112'] } });
  b = await sites.run('b', {
    peers: { a: {} },
    sip: { trustedPeers: ['127.0.0.1'] },
    calls: { dialRules: { '+44': '0' } },
  });
});

beforeEach(async () => {
  await clearLastCalls(sites);
  alice = await sites.registered(a, '1001');
  bob = await sites.registered(a, '1002');
});
afterEach(() => sites.stopPhones());
afterAll(() => sites.stop());

const dateOf = async (terminalId: number, column: string): Promise<string> => {
  const [row] = await query<{ at: string }>(
    sites.databases.a.owner,
    `SELECT (${column})::text AS at FROM lastcall.lastcalls_a WHERE terminal_id = $1`,
    [terminalId],
  );
  return row?.at ?? '';
};

describe('R10 what is missed and what is answered', () => {
  const missed = {
    last_received_call: '1001',
    last_received_num_id: 100,
    last_received_user_num: '1002',
    last_terminated_call: null,
  };

  test.each([
    [486, 'busy'],
    [603, 'declined'],
    [480, 'no answer, says the phone'],
    [408, 'no answer, says a proxy'],
    [500, 'broken'],
  ])('%i (%s) is missed', async (status) => {
    bob.behaviour = { status };
    const call = alice.invite('1002');
    expect((await call.final()).status).toBe(status);
    await untilRow(sites.databases.a, 2, { ...missed, last_received_call_id: call.callId });
  });

  test('cancelled by the caller is missed', async () => {
    const call = alice.invite('1002');
    await call.provisional(180);
    call.cancel();
    expect((await call.final()).status).toBe(487);
    await untilRow(sites.databases.a, 2, missed);
  });

  test('offline is 480 and missed', async () => {
    await bob.unregister();
    expect((await alice.invite('1002').final()).status).toBe(480);
    await untilRow(sites.databases.a, 2, missed);
  });

  test('answered is not missed: it is terminated', async () => {
    bob.behaviour = 'answer';
    const call = alice.invite('1002');
    expect((await call.final()).status).toBe(200);
    await untilRow(sites.databases.a, 2, {
      last_terminated_call: '1001',
      last_terminated_call_id: call.callId,
      last_terminated_sip_uri: 'sip:1001@lastcall.test',
      last_received_date: null,
    });
    await call.hangUp();
  });

  test.each([403, 404, 484])('R11 %i before alerting is by policy, and not missed', async (status) => {
    bob.behaviour = { status };
    expect((await alice.invite('1002').final()).status).toBe(status);
    await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
    expect(await ownRow(sites.databases.a, 2)).toBeUndefined();
  });

  test('R9 answered on one fork is answered for all: the others are cancelled, and nothing is missed', async () => {
    const second = await sites.registered(a, '1002');
    const call = alice.invite('1002');
    const other = await bob.call();
    (await second.call()).answer();
    expect((await call.final()).status).toBe(200);
    await other.untilCancelled();
    await untilRow(sites.databases.a, 2, { last_terminated_call: '1001', last_received_date: null });
    await call.hangUp();
  });
});

describe('R3 R4 what is dialed', () => {
  test('R3 recorded at the first INVITE, while it still rings, with the digits as dialed', async () => {
    const call = alice.invite('1002');
    await call.provisional(180);
    await untilRow(sites.databases.a, 1, { last_dialed_call: '1002', last_dialed_num_id: 200 });
    call.cancel();
    await call.final();
  });

  test('R3 a number that nobody has is dialed all the same: 404, and recorded', async () => {
    expect((await alice.invite('0301234567').final()).status).toBe(404);
    await untilRow(sites.databases.a, 1, { last_dialed_call: '0301234567' });
  });

  test('R3 a retransmitted INVITE, a re-INVITE and the retry after 407 count once', async () => {
    bob.behaviour = 'answer';
    const call = alice.invite('1002');
    expect((await call.final()).status).toBe(200);
    await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
    await untilRow(sites.databases.a, 2, { last_terminated_call: '1001' });
    const dialedAt = await dateOf(1, 'last_dialed_date');
    const answeredAt = await dateOf(2, 'last_terminated_date');
    const again = await call.reInvite();
    expect(again.status).toBe(200);
    call.retransmit();
    expect((await call.hangUp()).status).toBe(200);
    // A later record of another terminal is in the table, so nothing of before is still on its way.
    expect((await bob.invite('4711').final()).status).toBe(404);
    await untilRow(sites.databases.a, 2, { last_dialed_call: '4711' });
    expect(await dateOf(1, 'last_dialed_date')).toBe(dialedAt);
    expect(await dateOf(2, 'last_terminated_date')).toBe(answeredAt);
    expect(bob.incoming).toHaveLength(2);
  });

  test('R8 a call to the own number is not recorded', async () => {
    expect((await alice.invite('1001').provisional(180)).status).toBe(180);
    expect((await alice.invite('4711').final()).status).toBe(404);
    await untilRow(sites.databases.a, 1, { last_dialed_call: '4711', last_received_date: null });
  });

  test('R2 an emergency call is placed without credentials and without a record', async () => {
    const centre = await sites.phone(a, '112');
    await provision(sites.databases.a, [{ terminalId: 112, number: '112' }]);
    await centre.register().final();
    centre.behaviour = 'answer';
    const stranger = await sites.phone(a, '1001', { anonymous: true });
    const call = stranger.invite('112');
    expect((await call.final()).status).toBe(200);
    expect((await call.hangUp()).status).toBe(200);
    const urgent = alice.invite('112');
    expect((await urgent.final()).status).toBe(200);
    expect((await alice.invite('4711').final()).status).toBe(404);
    await untilRow(sites.databases.a, 1, { last_dialed_call: '4711' });
    expect(await ownRow(sites.databases.a, 112)).toBeUndefined();
  });
});

describe('R5 R7 who called', () => {
  test.each([
    ['Privacy: id', { headers: [['Privacy', 'id']] as const }],
    ['Privacy: user', { headers: [['Privacy', 'user;critical']] as const }],
    ['an anonymous From', { from: '"Anonymous" <sip:anonymous@anonymous.invalid>' }],
  ])('R7 %s: the date without digits, and the unknown-PAI date', async (_what, options) => {
    bob.behaviour = { status: 486 };
    await alice.invite('1002', options).final();
    const row = await untilRow(sites.databases.a, 2, {
      last_received_call: null,
      last_received_sip_uri: null,
    });
    expect(row['last_received_date']).toEqual(row['last_term_unknown_pai_date']);
    expect(row['last_received_date']).toBeInstanceOf(Date);
    const { request } = await bob.call();
    expect(request.header('p-asserted-identity')).toBeUndefined();
  });

  test('R5 the authenticated user is the caller, never From, Contact, Diversion or Referred-By', async () => {
    bob.behaviour = { status: 486 };
    const headers = [
      ['Referred-By', '<sip:1009@x>'],
      ['P-Preferred-Identity', '<sip:1008@x>'],
    ] as const;
    await alice.invite('1002', { from: '<sip:1007@lastcall.test>', headers }).final();
    await untilRow(sites.databases.a, 2, { last_received_call: '1001' });
  });

  test('R5 R4 the identity that a trusted PBX asserts is the caller, in the form the subscriber dials', async () => {
    const pbx = await SipPhone.start({ server: b.udp, username: 'pbx', password: '', anonymous: true });
    const headers = [['P-Asserted-Identity', `"Mum" <sip:+44201234567@pbx.example>`]] as const;
    expect((await pbx.invite('1002', { headers }).final()).status).toBe(480);
    await untilRow(sites.databases.b, 2, {
      last_received_call: '0201234567',
      last_received_sip_uri: 'sip:+44201234567@pbx.example',
    });
    await pbx.stop();
  });

  test.each([
    [
      'Diversion',
      [['Diversion', `<sip:1003@${DOMAIN}>;reason=no-answer, <sip:1004@${DOMAIN}>;reason=unconditional`]],
    ],
    [
      'History-Info',
      [
        [
          'History-Info',
          `<sip:1004@${DOMAIN}>;index=1, <sip:1003@${DOMAIN}>;index=1.1, <sip:1002@${DOMAIN}>;index=1.1.1`,
        ],
      ],
    ],
  ] as const)('R6 A calls 1004, sent on by 1003 (%s): the last caller is A', async (_name, forwarding) => {
    const pbx = await SipPhone.start({ server: b.udp, username: 'pbx', password: '', anonymous: true });
    const headers = [['P-Asserted-Identity', `<sip:1001@${DOMAIN}>`], ...forwarding] as const;
    expect((await pbx.invite('1002', { headers }).final()).status).toBe(480);
    await untilRow(sites.databases.b, 2, {
      last_received_call: '1001',
      last_received_fwd_call: '1003',
      last_received_orig_cld_call: '1004',
    });
    await pbx.stop();
  });
});

test('R13 a slow clock never hides a newer call: the date is later than every date known here', async () => {
  const ahead = '2099-01-01T00:00:00.000001Z';
  await query(
    sites.databases.a.replicator,
    'INSERT INTO lastcall.lastcalls_b (terminal_id, last_dialed_call, last_dialed_date) VALUES (1, $1, $2)',
    ['1009', ahead],
  );
  bob.behaviour = { status: 486 };
  await alice.invite('1002').final();
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
  expect(await dateOf(1, "last_dialed_date AT TIME ZONE 'UTC'")).toBe('2099-01-01 00:00:00.000002');
  // R14: what is ahead of this clock raises an alarm when it is read.
  expect((await alice.invite('*52').final()).status).toBe(486);
  expect(await a.callControl.metrics.text()).toMatch(
    /lastcall_clock_skew_alarms_total\{source="b",site="a"\} [1-9]/,
  );
});
