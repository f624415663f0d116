import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { query } from '../support/replication-pair.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { clearLastCalls, untilRow, writeRow } from '../support/site-rows.ts';
import { waitFor } from '../support/wait-for.ts';

const PEERS = { peers: { b: {} } };
const RECORDING = { ...PEERS, calls: { recordDays: 7 } };

let sites: CallSites;
let a: RunningSite;
let alice: SipPhone;
let bob: SipPhone;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
    { terminalId: 3, number: '1003' },
  ]);
  a = await sites.run('a', RECORDING);
});
beforeEach(async () => {
  await clearLastCalls(sites);
  await query(sites.databases.a.owner, 'TRUNCATE lastcall.call_records');
  alice = await sites.registered(a, '1001');
  bob = await sites.registered(a, '1002');
});
afterEach(() => sites.stopPhones());
afterAll(() => sites.stop());

type Row = Record<string, unknown>;
const rows = (table = 'call_records') =>
  query(sites.databases.a.owner, `SELECT * FROM lastcall.${table} ORDER BY at`);
const untilRecords = (count: number): Promise<Row[]> =>
  waitFor(
    async () => {
      const found = await rows();
      return found.length === count ? found : null;
    },
    { what: `${count} call records` },
  );

test('an answered call leaves one row with its set-up and its talk, at the caller’s site', async () => {
  bob.behaviour = 'answer';
  const call = alice.invite('1002');
  expect((await call.final()).status).toBe(200);
  await untilRecords(1);
  await call.hangUp();
  const [row] = await waitFor(
    async () => {
      const found = await rows();
      return found[0]?.['talk_ms'] !== null && found;
    },
    { what: 'the talk time' },
  );
  expect(row).toMatchObject({
    from_terminal_id: '1',
    from_number: '1001',
    to_terminal_id: '2',
    to_number: '1002',
    code: null,
    source_site: null,
    result: 'answered',
    status: 200,
    withheld: false,
  });
  expect(Number(row?.['talk_ms'])).toBeGreaterThanOrEqual(0);
  expect(Date.now() - Number(row?.['at'])).toBeLessThan(20_000);
});

test('*52 tells the number it stood for, whose table it came from and how old it was; a refused code tells why', async () => {
  const minuteAgo = new Date(Date.now() - 60_000);
  await query(
    sites.databases.a.owner,
    `INSERT INTO lastcall.lastcalls_b (terminal_id, last_dialed_call, last_dialed_date) VALUES (1, '1002', $1)`,
    [minuteAgo],
  );
  bob.behaviour = { status: 486 };
  expect((await alice.invite('*52').final()).status).toBe(486);
  expect((await alice.invite('*69').final()).status).toBe(480);
  const [redial, refused] = await untilRecords(2);
  expect(redial).toMatchObject({
    code: 'redial',
    to_number: '1002',
    source_site: 'b',
    result: 'missed',
    status: 486,
  });
  expect(Number(redial?.['source_age_ms'])).toBeGreaterThan(59_000);
  expect(Number(redial?.['source_age_ms'])).toBeLessThan(120_000);
  expect(refused).toMatchObject({
    code: 'return',
    to_number: null,
    result: 'NO_DATA',
    status: 480,
    source_site: null,
  });
});

test('R7 who withholds the number is in no row, neither by number nor by terminal; an offline callee is told', async () => {
  const hidden = [['Privacy', 'id']] as const;
  bob.behaviour = { status: 603 };
  expect((await alice.invite('1002', { headers: hidden }).final()).status).toBe(603);
  expect((await bob.invite('1003').final()).status).toBe(480);
  const all = await untilRecords(2);
  const [withheld, offline] = [all.find((row) => row['withheld']), all.find((row) => !row['withheld'])];
  expect(offline).toMatchObject({ result: 'offline', status: 480, to_terminal_id: '3' });
  expect(withheld).toMatchObject({ from_terminal_id: null, from_number: null, to_number: '1002' });
  expect(JSON.stringify(withheld)).not.toContain('1001');
});

test('S3 whoever is forgotten is in no record any more, first for readers, then in the table', async () => {
  bob.behaviour = { status: 486 };
  await alice.invite('1002').final();
  await untilRecords(1);
  await untilRow(sites.databases.a, 2, { last_received_call: '1001' });
  await query(sites.databases.a.owner, `SELECT lastcall.forget(1, 'dialed')`);
  expect(await rows('call_records_kept')).toEqual([]);
  await query(sites.databases.a.owner, 'SELECT lastcall.keep_call_records(7)');
  expect(await rows()).toEqual([]);
});

test('PostgreSQL away: calls go on, and their records are written when it is back', async () => {
  bob.behaviour = { status: 486 };
  await alice.invite('1002').final();
  await untilRecords(1);
  await sites.postgres.stop('immediate');
  expect((await alice.invite('1002').final()).status).toBe(486);
  await sites.postgres.start();
  await untilRecords(2);
});

test('a site that is not told to keeps no record', async () => {
  await a.stop();
  a = await sites.run('a', PEERS);
  const caller = await sites.registered(a, '1001');
  expect((await caller.invite('1003').final()).status).toBe(480);
  await untilRow(sites.databases.a, 3, { last_received_call: '1001' });
  await a.stop();
  expect(await rows()).toEqual([]);
  a = await sites.run('a', RECORDING);
});

test('calls.retentionDays: a last call of that age is forgotten everywhere, a newer one stands', async () => {
  const daysAgo = (days: number): Date => new Date(Date.now() - days * 86_400_000);
  await writeRow(sites.databases.a, 1, { last_dialed_call: '1002', last_dialed_date: daysAgo(91) });
  await writeRow(sites.databases.a, 2, { last_dialed_call: '1001', last_dialed_date: daysAgo(89) });
  const [expired] = await query(
    sites.databases.a.owner,
    'SELECT lastcall.expire_last_calls(90)::int AS count',
  );
  expect(expired).toEqual({ count: 1 });
  const left = await query(
    sites.databases.a.owner,
    'SELECT terminal_id::int FROM lastcall.lastcalls_a WHERE last_dialed_date IS NOT NULL OR last_dialed_call IS NOT NULL',
  );
  expect(left).toEqual([{ terminal_id: 2 }]);
  const marks = await query(sites.databases.a.owner, `SELECT key, scope, forgotten_at FROM lastcall.marks_a`);
  expect(marks).toMatchObject([{ key: '1', scope: 'dialed' }]);
  // No later than the call it forgets: one that is not known here yet must stand.
  const forgottenAt = marks[0]?.['forgotten_at'] as Date;
  expect(forgottenAt.getTime()).toBeLessThan(daysAgo(90).getTime());
});
