import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Baresip } from '../support/baresip.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, untilRow } from '../support/site-rows.ts';
import { DOMAIN, passwordOf } from '../support/site-terminals.ts';

let sites: CallSites;
let a: RunningSite;
const phones: Baresip[] = [];

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  a = await sites.run('a', { peers: { b: {} } });
});

afterEach(async () => {
  await Promise.all(phones.splice(0).map((phone) => phone.stop()));
  await clearLastCalls(sites);
});
afterAll(() => sites.stop());

async function softphone(
  username: string,
  transport: 'udp' | 'tcp',
  answers: 'auto' | 'manual',
): Promise<Baresip> {
  const outbound = `${a.udp};transport=${transport}`;
  const phone = await Baresip.registered({
    username,
    password: passwordOf(username),
    domain: DOMAIN,
    outbound,
    answers,
  });
  phones.push(phone);
  return phone;
}

test.each(['udp', 'tcp'] as const)(
  'two baresips over %s: 1001 calls 1002, redials it with *52; 1002 misses 1001 and returns it with *69',
  async (transport) => {
    const alice = await softphone('1001', transport, 'auto');
    const bob = await softphone('1002', transport, 'manual');

    alice.dial(`sip:1002@${DOMAIN}`);
    await bob.event('CALL_INCOMING');
    bob.accept();
    await alice.event('CALL_ESTABLISHED');
    alice.hangUp();
    await bob.event('CALL_CLOSED');
    await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });

    alice.dial(`sip:*52@${DOMAIN}`);
    const redialed = await bob.event('CALL_INCOMING', 1);
    expect(redialed.peeruri).toContain('1001');
    await alice.event('CALL_RINGING', 1);
    alice.hangUp();
    await bob.event('CALL_CLOSED', 1);
    await untilRow(sites.databases.a, 2, { last_received_call: '1001' });

    bob.dial(`sip:*69@${DOMAIN}`);
    await alice.event('CALL_ESTABLISHED', 1);
    await bob.event('CALL_ESTABLISHED', 1);
    bob.hangUp();
    await alice.event('CALL_CLOSED', 2);
  },
);

test('baresip hears why: *52 without a last call is 480', async () => {
  const alice = await softphone('1001', 'udp', 'manual');
  alice.dial(`sip:*52@${DOMAIN}`);
  expect((await alice.event('CALL_CLOSED')).param).toContain('480');
});
