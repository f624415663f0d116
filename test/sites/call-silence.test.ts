import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { elapsedMs } from '../support/elapsed.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, ownRow, untilRow } from '../support/site-rows.ts';

let sites: CallSites;
let a: RunningSite;
let b: RunningSite;
/** No caller waits longer for a phone that is alive. */
const LONGEST_WAIT_MS = 3_000;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  a = await sites.run('a');
  b = await sites.run('b');
});

beforeEach(() => clearLastCalls(sites));
afterEach(() => sites.stopPhones());
afterAll(() => sites.stop());

/** Registered, and gone without a word. */
async function stalePhone(site: RunningSite, username: string): Promise<SipPhone> {
  const phone = await sites.registered(site, username);
  await phone.stack.stop();
  return phone;
}

test('a binding whose phone is gone delays the phone at the other site by about two seconds, not 32', async () => {
  await stalePhone(a, '1002');
  const bob = await sites.registered(b, '1002');
  bob.behaviour = 'answer';
  const alice = await sites.registered(a, '1001');
  const call = alice.invite('1002');
  const waited = await elapsedMs(async () => expect((await call.final()).status).toBe(200));
  expect(waited).toBeLessThan(LONGEST_WAIT_MS);
  expect((await call.hangUp()).status).toBe(200);
  await untilRow(sites.databases.b, 2, { last_terminated_call: '1001' });
  expect(await ownRow(sites.databases.a, 2)).toBeUndefined();
});

test('R15 nor does it hold back the answer of a phone that declines there', async () => {
  await stalePhone(a, '1002');
  const bob = await sites.registered(b, '1002');
  bob.behaviour = { status: 486 };
  const alice = await sites.registered(a, '1001');
  const waited = await elapsedMs(async () => expect((await alice.invite('1002').final()).status).toBe(486));
  expect(waited).toBeLessThan(LONGEST_WAIT_MS);
  await untilRow(sites.databases.b, 2, { last_received_call: '1001' });
  expect(await ownRow(sites.databases.a, 2)).toBeUndefined();
});

test('nor that of a phone beside it at the same site', async () => {
  await stalePhone(a, '1002');
  const bob = await sites.registered(a, '1002');
  bob.behaviour = { status: 486 };
  const alice = await sites.registered(a, '1001');
  const waited = await elapsedMs(async () => expect((await alice.invite('1002').final()).status).toBe(486));
  expect(waited).toBeLessThan(LONGEST_WAIT_MS);
});

test('R9 R15 a slow phone that answers here after all: answered here, and no call missed at the site that was asked meanwhile', async () => {
  const slow = await sites.registered(a, '1002');
  slow.behaviour = 'manual';
  const bob = await sites.registered(b, '1002');
  const alice = await sites.registered(a, '1001');
  const call = alice.invite('1002');
  await call.provisional(180);
  const ringing = await bob.call();
  (await slow.call()).answer();
  expect((await call.final()).status).toBe(200);
  await ringing.untilCancelled();
  expect(ringing.cancelReason).toContain('cause=200');
  expect((await call.hangUp()).status).toBe(200);
  await untilRow(sites.databases.a, 2, { last_terminated_call: '1001', last_received_call: null });
  // Whatever site b wrote of this call would stand before what it writes of the next one.
  const marker = await sites.phone(b, '1001');
  await marker.invite('4711').final();
  await untilRow(sites.databases.b, 1, { last_dialed_call: '4711' });
  expect(await ownRow(sites.databases.b, 2)).toBeUndefined();
});

test('R10 a caller who hangs up while both sites are asked has called in vain: missed', async () => {
  await stalePhone(a, '1002');
  const bob = await sites.registered(b, '1002');
  const alice = await sites.registered(a, '1001');
  const call = alice.invite('1002');
  await call.provisional(180);
  call.cancel();
  expect((await call.final()).status).toBe(487);
  await untilRow(sites.databases.b, 2, { last_received_call: '1001' });
  expect((await bob.call()).cancelReason).toBeUndefined();
});
