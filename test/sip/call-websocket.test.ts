import { SessionState } from 'sip.js';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { BrowserPhone } from '../support/sip-phone-browser.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, untilRow } from '../support/site-rows.ts';
import { DOMAIN, passwordOf } from '../support/site-terminals.ts';

let sites: CallSites;
let a: RunningSite;
const browsers: BrowserPhone[] = [];

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  a = await sites.run('a', { peers: { b: {} } });
});

afterEach(async () => {
  await Promise.all(browsers.splice(0).map((browser) => browser.stop()));
  await sites.stopPhones();
  await clearLastCalls(sites);
});
afterAll(() => sites.stop());

async function browser(username: string): Promise<BrowserPhone> {
  const phone = await BrowserPhone.registered({
    username,
    password: passwordOf(username),
    domain: DOMAIN,
    server: a.ws,
  });
  browsers.push(phone);
  return phone;
}

test('sip.js over WebSocket: a missed call is returned with *69, answered and hung up, and *52 dials it again', async () => {
  const alice = await browser('1001');
  const bob = await browser('1002');

  const given = await alice.call('1002');
  await bob.invitation();
  await given.inviter.cancel();
  await given.until(SessionState.Terminated);
  await untilRow(sites.databases.a, 2, { last_received_call: '1001' });

  const returned = await bob.call('*69');
  const ringing = await alice.invitation();
  expect(ringing.remoteIdentity.uri.user).toBe('1002');
  expect(ringing.request.getHeader('in-reply-to')).toBe(given.inviter.request.callId);
  await ringing.accept();
  await returned.until(SessionState.Established);
  await returned.inviter.bye();
  await returned.until(SessionState.Terminated);
  await untilRow(sites.databases.a, 1, { last_terminated_call: '1002' });

  const redialed = await alice.call('*52');
  const again = await bob.invitation(1);
  await again.reject({ statusCode: 486, reasonPhrase: 'In A Meeting' });
  expect(await redialed.refusal()).toBe('486 In A Meeting');
});

test('sip.js hears why a star code went nowhere, and a UDP phone and a browser call each other', async () => {
  const alice = await browser('1001');
  expect(await (await alice.call('*52')).refusal()).toBe('480 No Last Call Known');
  const bob = await sites.registered(a, '1002');
  const out = await alice.call('1002');
  (await bob.call()).answer();
  await out.until(SessionState.Established);
  await out.inviter.bye();
  const back = bob.invite('1001');
  await (await alice.invitation()).accept();
  expect((await back.final()).status).toBe(200);
  expect((await back.hangUp()).status).toBe(200);
});
