import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readiness } from '../../shared/runtime/health.ts';
import { elapsedMs } from '../support/elapsed.ts';
import { query } from '../support/replication-pair.ts';
import type { OutgoingRequest } from '../support/sip-phone-outgoing.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, ownRow, untilRow, writeRow } from '../support/site-rows.ts';
import { DOMAIN, provision } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

let sites: CallSites;
let a: RunningSite;
/** Long enough to tell waiting for it from a busy machine. */
const LOOKUP_BUDGET_MS = 1_500;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
    { terminalId: 3, number: '1003' },
  ]);
  a = await sites.run('a', { peers: { b: {} }, postgres: { lookupBudgetMs: LOOKUP_BUDGET_MS } });
});

beforeEach(() => clearLastCalls(sites));
afterEach(() => sites.stopPhones());
afterAll(() => sites.stop());

const ready = ({ callControl: { checks, draining } }: RunningSite) =>
  readiness({ checks, draining: () => draining });

const untilStatus = (site: RunningSite, wanted: string) =>
  waitFor(
    async () => {
      const { checks, status } = await ready(site);
      if (status !== wanted) throw new Error(`${status} ${JSON.stringify(checks)}`);
      return checks;
    },
    { what: `status ${wanted}` },
  );

test('R12 C7 C8 PostgreSQL down: calls route and are journalled, a star code uses what is journalled or says 503, and nothing is lost', async () => {
  const alice = await sites.registered(a, '1001');
  const bob = await sites.registered(a, '1002');
  const carol = await sites.registered(a, '1003');
  bob.behaviour = { status: 486 };
  await writeRow(sites.databases.a, 3, { last_dialed_call: '1002', last_dialed_date: new Date() });
  await sites.postgres.stop('immediate');
  await untilStatus(a, 'degraded');

  const before = Date.now();
  expect((await alice.invite('1002').final()).status).toBe(486);
  const afterwards = Date.now();
  const unreadable = await carol.invite('*52').final();
  expect([unreadable.status, unreadable.reason]).toEqual([503, 'Last Call Unreadable']);
  expect(Number(unreadable.header('retry-after'))).toBeGreaterThan(0);
  // C6 with C8: what is journalled is known, although the tables are not.
  expect((await alice.invite('*52').final()).status).toBe(486);
  expect(bob.incoming).toHaveLength(2);
  const [{ value } = { value: 0 }] =
    (await a.callControl.metrics.registry.getSingleMetric('lastcall_journal_terminals')?.get())?.values ?? [];
  expect(value).toBeGreaterThan(0);

  await sites.postgres.start();
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
  const row = await untilRow(sites.databases.a, 2, { last_received_call: '1001' });
  expect(row['last_received_date']).toBeInstanceOf(Date);
  expect(Number(row['last_received_date'])).toBeGreaterThanOrEqual(before);
  const dialed = await ownRow(sites.databases.a, 1);
  expect(Number(dialed?.['last_dialed_date'])).toBeLessThanOrEqual(Date.now());
  expect(afterwards).toBeGreaterThanOrEqual(before);
  await untilStatus(a, 'ready');
});

test('R2 F1 PostgreSQL hangs without closing a socket: an emergency call does not wait, a star code answers within its budget', async () => {
  await provision(sites.databases.a, [{ terminalId: 112, number: '112' }]);
  const alice = await sites.registered(a, '1001');
  // What alice dialed before is remembered by the process, and would answer; of carol nothing is.
  const carol = await sites.registered(a, '1003');
  const centre = await sites.registered(a, '112');
  centre.behaviour = 'answer';
  sites.postgres.pause();
  try {
    // R2: no lookup stands before an emergency call.
    const emergency = await elapsedMs(async () =>
      expect((await alice.invite('112').final()).status).toBe(200),
    );
    expect(emergency).toBeLessThan(LOOKUP_BUDGET_MS / 2);
    const redial = await elapsedMs(async () => expect((await carol.invite('*52').final()).status).toBe(503));
    expect(redial).toBeLessThan(2 * LOOKUP_BUDGET_MS + 1_000);
  } finally {
    sites.postgres.resume();
  }
  await untilStatus(a, 'ready');
});

test('Redis down: registered phones are called, new registrations work, and both survive its return', async () => {
  const alice = await sites.registered(a, '1001');
  const bob = await sites.registered(a, '1002');
  bob.behaviour = { status: 486 };
  await sites.redis.stop();
  const checks = await untilStatus(a, 'degraded');
  expect(checks['redis']).toMatchObject({ state: 'down' });
  expect((await alice.invite('1002').final()).status).toBe(486);
  const carol = await sites.registered(a, '1003');
  carol.behaviour = { status: 603 };
  expect((await alice.invite('1003').final()).status).toBe(603);
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1003' });
  await sites.redis.start();
  await untilStatus(a, 'ready');
  expect((await alice.invite('1003').final()).status).toBe(603);
});

test('a terminal that is disabled or removed stops working within about a second', async () => {
  await provision(sites.databases.a, [{ terminalId: 9, number: '1009' }]);
  const eve = await sites.registered(a, '1009');
  await provision(sites.databases.a, [{ terminalId: 9, number: '1009', enabled: false }]);
  const disabled = await elapsedMs(() =>
    waitFor(async () => (await eve.invite('*52').final()).status === 403, { what: 'the end of her calls' }),
  );
  expect(disabled).toBeLessThan(3_000);
  await query(sites.databases.a.app, 'DELETE FROM lastcall.terminals WHERE terminal_id = 9');
  await waitFor(async () => (await eve.invite('*52').final()).status === 407);
});

describe('F14 draining', () => {
  test('new requests and OPTIONS get 503 with Retry-After, calls in progress finish', async () => {
    const b = await sites.run('b', { sip: { drainSeconds: 10 }, peers: { a: {} } });
    await provision(sites.databases.b, [
      { terminalId: 1, number: '1001' },
      { terminalId: 2, number: '1002' },
    ]);
    const alice = await sites.registered(b, '1001');
    const bob = await sites.registered(b, '1002');
    expect((await alice.request('OPTIONS', `sip:${DOMAIN}`).final()).status).toBe(200);
    const call = alice.invite('1002');
    await call.provisional(180);
    const stopped = b.stop();
    await waitFor(() => b.callControl.draining, { what: 'draining' });
    expect((await ready(b)).status).toBe('draining');
    for (const refused of [
      alice.invite('1002'),
      alice.request('OPTIONS', `sip:${DOMAIN}`),
      alice.register(),
    ]) {
      const answer = await refused.final();
      expect([answer.status, Number(answer.header('retry-after')) > 0]).toEqual([503, true]);
    }
    (await bob.call()).reject(486);
    expect((await call.final()).status).toBe(486);
    await stopped;
    expect(await ownRow(sites.databases.b, 2)).toMatchObject({ last_received_call: '1001' });
  });

  test('R10 what still rings when the drain time is over: 503 to the caller, CANCEL to the callee, and a missed call that is kept', async () => {
    const b = await sites.run('b', { sip: { drainSeconds: 1 }, peers: { a: {} } });
    await provision(sites.databases.b, [
      { terminalId: 1, number: '1001' },
      { terminalId: 2, number: '1002' },
    ]);
    const alice = await sites.registered(b, '1001');
    const bob = await sites.registered(b, '1002');
    const call = alice.invite('1002');
    await call.provisional(180);
    const stopped = b.stop();
    const answer = await call.final();
    expect([answer.status, answer.reason, Number(answer.header('retry-after')) > 0]).toEqual([
      503,
      'Draining',
      true,
    ]);
    await (await bob.call()).untilCancelled();
    await stopped;
    expect(await ownRow(sites.databases.b, 2)).toMatchObject({ last_received_call: '1001' });
  });
});

describe('F14 overload: what counts is what calls hold', () => {
  let b: RunningSite;
  // A busy machine's event loop is not what these are about.
  const limited = async (limits: Readonly<Record<string, number>>) => {
    b = await sites.run('b', { sip: { maxEventLoopDelayMs: 60_000, ...limits }, peers: { a: {} } });
  };
  afterEach(() => b.stop());

  test('beyond the limit of calls being set up new ones get 503 with Retry-After, and the rest go on', async () => {
    await limited({ maxTransactions: 100 });
    await provision(sites.databases.b, [
      { terminalId: 1, number: '1001' },
      { terminalId: 2, number: '1002' },
    ]);
    const alice = await sites.registered(b, '1001');
    const bob = await sites.registered(b, '1002');
    const calls: OutgoingRequest[] = [];
    while (calls.length < 100) {
      const some = Array.from({ length: 20 }, () => alice.invite('1002'));
      await Promise.all(some.map((call) => call.provisional(180)));
      calls.push(...some);
    }
    const shed = await alice.invite('1002').final();
    expect([shed.status, Number(shed.header('retry-after')) > 0]).toEqual([503, true]);
    await Promise.all(calls.map(async (_call, index) => (await bob.call(index)).reject(486)));
    for (const call of calls) expect((await call.final()).status).toBe(486);
  });

  test('and one address may hold its share only', async () => {
    await limited({ maxCallsPerSource: 2 });
    const alice = await sites.registered(b, '1001');
    await sites.registered(b, '1002');
    const calls = [alice.invite('1002'), alice.invite('1002')];
    await Promise.all(calls.map((call) => call.provisional(180)));
    expect((await alice.invite('1002').final()).status).toBe(503);
    calls[0]?.cancel();
    await calls[0]?.final();
    const next = alice.invite('1002');
    await next.provisional(180);
  });

  test('no flood of OPTIONS, REGISTER or unproven INVITEs refuses a call', async () => {
    await limited({ maxTransactions: 100 });
    const alice = await sites.registered(b, '1001');
    const bob = await sites.registered(b, '1002');
    bob.behaviour = { status: 486 };
    const stranger = await sites.phone(b, '1001', { anonymous: true });
    const flood = Array.from({ length: 150 }, () => [
      stranger.request('OPTIONS', `sip:${DOMAIN}`).final(),
      stranger.register().final(),
      stranger.invite('1002').final(),
    ]).flat();
    expect((await alice.invite('1002').final()).status).toBe(486);
    const statuses = new Set((await Promise.all(flood)).map(({ status }) => status));
    expect([...statuses].toSorted()).toEqual([200, 401, 407]);
    expect((await alice.invite('1002').final()).status).toBe(486);
  });
});
