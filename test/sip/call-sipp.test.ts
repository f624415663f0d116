import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../shared/servers/free-port.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { runSipp, type SippRun } from '../support/sipp.ts';
import { clearLastCalls, ownRow, untilRow } from '../support/site-rows.ts';

let sites: CallSites;
let a: RunningSite;
let target: string;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  a = await sites.run('a', { peers: { b: {} } });
  target = a.udp.replace('sip:', '');
});

beforeEach(() => clearLastCalls(sites));
afterEach(() => sites.stopPhones());
afterAll(() => sites.stop());

/** SIPp in the place of 1002's phone: registered from the port it answers on (G2). */
async function answering(calls: number): Promise<SippRun> {
  const port = await freePort();
  const contact = `127.0.0.1:${port}`;
  await (await runSipp('register', { target, user: '1002', port, keys: { contact } })).succeeded;
  return runSipp('answer', { calls, port });
}

test.each(['u1', 't1'] as const)(
  'SIPp registers, is called, and is called again by *52, the caller over %s',
  async (transport) => {
    const phone = await answering(2);
    const calling = { target, transport, user: '1001' };
    await (await runSipp('call-answered', { ...calling, service: '1002' })).succeeded;
    await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
    await untilRow(sites.databases.a, 2, { last_terminated_call: '1001' });
    await (await runSipp('call-answered', { ...calling, service: '*52' })).succeeded;
    await phone.succeeded;
  },
);

test('C1 F1 *52 and *69 without a last call: 407, then 100 and 480 with its text', async () => {
  for (const service of ['*52', '*69', '%2A52'])
    await (await runSipp('star-code-refused', { target, service, user: '1001' })).succeeded;
  expect(await ownRow(sites.databases.a, 1)).toBeUndefined();
});

test('R3 a retransmitted INVITE is one call: one ringing phone, one record of each group', async () => {
  const records = async (group: string): Promise<number> => {
    const metric = await a.callControl.metrics.registry.getSingleMetric('lastcall_records_total')?.get();
    return metric?.values.find(({ labels }) => labels['group'] === group)?.value ?? 0;
  };
  const before = { dialed: await records('dialed'), missed: await records('missed') };
  const bob = await sites.registered(a, '1002');
  await (await runSipp('invite-retransmitted', { target, service: '1002', user: '1001' })).succeeded;
  expect(bob.incoming).toHaveLength(1);
  await untilRow(sites.databases.a, 2, { last_received_call: '1001' });
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
  expect(await records('dialed')).toBe(before.dialed + 1);
  expect(await records('missed')).toBe(before.missed + 1);
});

test('200 star codes in a second: each gets its number', async () => {
  const bob = await sites.registered(a, '1002');
  bob.behaviour = 'answer';
  const first = await runSipp('call-answered', { target, service: '1002', user: '1001' });
  await first.succeeded;
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
  const run = await runSipp('call-answered', {
    target,
    service: '*52',
    calls: 200,
    rate: 200,
    user: '1001',
  });
  await run.succeeded;
  expect(bob.incoming).toHaveLength(201);
});
