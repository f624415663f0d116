import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, ownRow, untilRow } from '../support/site-rows.ts';
import { provision } from '../support/site-terminals.ts';

/** A and B live at site a, C at site b; A also works at b now and then. */
const A = { terminalId: 1, number: '1001' };
const B = { terminalId: 2, number: '1002' };
const C = { terminalId: 3, number: '1003' };

let sites: CallSites;
let siteA: RunningSite;
let siteB: RunningSite;

beforeAll(async () => {
  sites = await CallSites.startReplicated();
  await provision(sites.databases.a, [A, B, C]);
  await expectCopiesEqualOrigins(Object.values(sites.databases));
  siteA = await sites.run('a');
  siteB = await sites.run('b');
});

beforeEach(() => clearLastCalls(sites));
afterEach(() => sites.stopPhones());
afterAll(() => sites.stop());

const answered = async (phone: SipPhone, dialed: string): Promise<void> => {
  const call = phone.invite(dialed);
  expect((await call.final()).status).toBe(200);
  expect((await call.hangUp()).status).toBe(200);
};

/** Calls and gives up while it rings. */
const missed = async (phone: SipPhone, dialed: string): Promise<void> => {
  const call = phone.invite(dialed);
  await call.provisional(180);
  call.cancel();
  expect((await call.final()).status).toBe(487);
};

describe('*52, the four flows', () => {
  test('A calls B and redials at the same site; then at the other site, from the copy; then C there; then C from the first', async () => {
    const atA = await sites.registered(siteA, A.number);
    const bob = await sites.registered(siteA, B.number);
    const carol = await sites.registered(siteB, C.number);
    bob.behaviour = 'answer';
    carol.behaviour = 'answer';

    // 1: A calls B, *52 reaches B at the same site.
    await answered(atA, B.number);
    await untilRow(sites.databases.a, A.terminalId, { last_dialed_call: B.number });
    await answered(atA, '*52');
    expect(bob.incoming).toHaveLength(2);

    // 2: the row stands only in the other site's table.
    await untilRow(sites.databases.b, A.terminalId, { last_dialed_call: B.number }, 'a');
    const atB = await sites.phone(siteB, A.number);
    expect(await ownRow(sites.databases.b, A.terminalId)).toBeUndefined();
    await answered(atB, '*52');
    expect(bob.incoming).toHaveLength(3);

    // 3: A calls C at the second site: both tables hold a row, the fresher one counts.
    await answered(atB, C.number);
    await untilRow(sites.databases.b, A.terminalId, { last_dialed_call: C.number });
    expect(await ownRow(sites.databases.a, A.terminalId)).toMatchObject({ last_dialed_call: B.number });
    await answered(atB, '*52');
    expect(carol.incoming).toHaveLength(2);

    // 4: back at the first site.
    await untilRow(sites.databases.a, A.terminalId, { last_dialed_call: C.number }, 'b');
    await answered(atA, '*52');
    expect(carol.incoming).toHaveLength(3);
    expect(bob.incoming).toHaveLength(3);
  });
});

test('F16 *52 at the other site keeps the privacy that the call asked for, and its P-Asserted-Identity reaches no phone', async () => {
  const atA = await sites.registered(siteA, A.number);
  const bob = await sites.registered(siteA, B.number);
  bob.behaviour = 'answer';
  const hidden = atA.invite(B.number, { headers: [['Privacy', 'id']] });
  expect((await hidden.final()).status).toBe(200);
  await hidden.hangUp();
  await untilRow(sites.databases.b, A.terminalId, { last_dialed_privacy: 'id' }, 'a');
  const atB = await sites.phone(siteB, A.number);
  await answered(atB, '*52');
  const { request } = await bob.call(1);
  expect([request.header('privacy'), request.header('p-asserted-identity')]).toEqual(['id', undefined]);
  expect(request.header('from')).toContain('<sip:1001@lastcall.test>');
});

describe('*69, the four flows', () => {
  test('A misses B and returns it at the same site; then at the other site; then C there; then C from the first', async () => {
    const atA = await sites.registered(siteA, A.number);
    const bob = await sites.registered(siteA, B.number);
    bob.behaviour = 'answer';

    // 1: A misses a call of B, *69 reaches B at the same site.
    await missed(bob, A.number);
    await untilRow(sites.databases.a, A.terminalId, { last_received_call: B.number });
    await answered(atA, '*69');
    expect(bob.incoming).toHaveLength(1);

    // 2: the same from the other site, the row standing only in the first one's table.
    await untilRow(sites.databases.b, A.terminalId, { last_received_call: B.number }, 'a');
    const atB = await sites.registered(siteB, A.number);
    await atA.register(0).final();
    await answered(atB, '*69');
    expect(bob.incoming).toHaveLength(2);

    // 3: A misses a call of C at the second site: both tables hold a row.
    const carol = await sites.registered(siteB, C.number);
    carol.behaviour = 'answer';
    await missed(carol, A.number);
    await untilRow(sites.databases.b, A.terminalId, { last_received_call: C.number });
    await answered(atB, '*69');
    expect(carol.incoming).toHaveLength(1);

    // 4: back at the first site, *69 reaches C.
    await untilRow(sites.databases.a, A.terminalId, { last_received_call: C.number }, 'b');
    await answered(atA, '*69');
    expect(carol.incoming).toHaveLength(2);
    expect(bob.incoming).toHaveLength(2);
  });
});

test('S5 a caller registered at one site reaches a callee registered at another, and R15 the callee is written there', async () => {
  const alice = await sites.registered(siteA, A.number);
  const carol = await sites.registered(siteB, C.number);
  carol.behaviour = 'answer';
  const call = alice.invite(C.number);
  expect((await call.final()).status).toBe(200);
  const { request } = await carol.call();
  expect(request.header('p-asserted-identity')).toBe('<sip:1001@lastcall.test>');
  expect(request.header('x-lastcall-sites')).toBeUndefined();
  await untilRow(sites.databases.b, C.terminalId, {
    last_terminated_call: A.number,
  });
  await untilRow(sites.databases.a, A.terminalId, { last_dialed_call: C.number });
  expect(await ownRow(sites.databases.a, C.terminalId)).toBeUndefined();
  expect(await ownRow(sites.databases.b, A.terminalId)).toBeUndefined();
  expect((await call.hangUp()).status).toBe(200);
});

test('R15 a callee whom no site has is missed once, written by the site of the caller', async () => {
  const alice = await sites.registered(siteA, A.number);
  expect((await alice.invite(C.number).final()).status).toBe(480);
  await untilRow(sites.databases.a, C.terminalId, { last_received_call: A.number });
  expect(await ownRow(sites.databases.b, C.terminalId)).toBeUndefined();
});

test('R15 a callee at the other site who declines is missed there and nowhere else', async () => {
  const alice = await sites.registered(siteA, A.number);
  const carol = await sites.registered(siteB, C.number);
  carol.behaviour = { status: 603, reason: 'Not Now' };
  const answer = await alice.invite(C.number).final();
  expect([answer.status, answer.reason]).toEqual([603, 'Not Now']);
  await untilRow(sites.databases.b, C.terminalId, { last_received_call: A.number });
  expect(await ownRow(sites.databases.a, C.terminalId)).toBeUndefined();
});
