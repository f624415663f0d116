import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { CallControlProcess } from '../support/sip-phone-process.ts';
import { CallSites } from '../support/sip-phone-sites.ts';
import { untilRow } from '../support/site-rows.ts';
import { DOMAIN } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

let sites: CallSites;
let callControl: CallControlProcess | undefined;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
});

afterEach(async () => {
  await sites.stopPhones();
  await callControl?.stop();
});
afterAll(() => sites.stop());

test('an unreachable PostgreSQL and Redis at the start: alive, not ready with the reasons, 503 to calls, no crash loop; then ready', async () => {
  await Promise.all([sites.postgres.stop('fast'), sites.redis.stop()]);
  callControl = await CallControlProcess.start(sites, 'a', { peers: { b: {} } });
  const health = callControl;
  const waiting = await waitFor(() => health.readiness(), { what: 'the health listener' });
  expect([waiting.code, waiting.status]).toEqual([503, 'not ready']);
  await waitFor(async () => (await health.readiness()).checks['sip']?.state === 'up', { what: 'SIP' });
  expect((await health.readiness()).checks['start']).toEqual({
    state: 'down',
    reason: 'waiting for PostgreSQL and Redis',
  });
  expect((await health.get('/healthz')).code).toBe(200);

  const alice = await sites.phone({ udp: sites.udp('a') }, '1001');
  for (const refused of [alice.invite('1002'), alice.request('OPTIONS', `sip:${DOMAIN}`), alice.register()]) {
    const answer = await refused.final();
    expect([answer.status, Number(answer.header('retry-after')) > 0]).toEqual([503, true]);
  }
  await Promise.all([sites.postgres.start(), sites.redis.start()]);
  await callControl.untilReady();
  expect((await alice.request('OPTIONS', `sip:${DOMAIN}`).final()).status).toBe(200);
  expect((await alice.register().final()).status).toBe(200);
  expect((await health.get('/metrics')).text).toContain('lastcall_registrations_total');
});

test('kill -9 while registered: phones keep their registration, *52 works, and PostgreSQL may be away meanwhile', async () => {
  callControl = await CallControlProcess.start(sites, 'a', { peers: { b: {} } });
  await callControl.untilReady();
  const site = { udp: sites.udp('a') };
  const alice = await sites.registered(site, '1001');
  const bob = await sites.registered(site, '1002');
  bob.behaviour = 'answer';
  const call = alice.invite('1002');
  expect((await call.final()).status).toBe(200);
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });

  await callControl.kill();
  callControl.restart();
  await callControl.untilReady();
  // The dialog outlives the process that set it up: its Route is still believed.
  expect((await call.hangUp()).status).toBe(200);
  const redial = alice.invite('*52');
  expect((await redial.final()).status).toBe(200);
  expect((await redial.hangUp()).status).toBe(200);
  expect(bob.incoming).toHaveLength(2);

  await sites.postgres.stop('immediate');
  await callControl.kill();
  callControl.restart();
  await callControl.untilReady();
  expect((await callControl.readiness()).status).toBe('degraded');
  const again = alice.invite('1002');
  expect((await again.final()).status).toBe(200);
  expect((await again.hangUp()).status).toBe(200);
  // Its record stands in the journal, so *52 knows it.
  const redialAgain = alice.invite('*52');
  expect((await redialAgain.final()).status).toBe(200);
  expect(bob.incoming).toHaveLength(4);
  await sites.postgres.start();
});
