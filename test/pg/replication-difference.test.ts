import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectCopiesEqualOrigins, watchReaders } from '../support/invariants.ts';
import { withClient } from '../support/postgres.ts';
import {
  query,
  type ReplicationPair,
  type RunningReplicator,
  type SiteDatabase,
  startReplicationPair,
  startReplicator,
  untilStreaming,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const ROWS = 20_000;

let pair: ReplicationPair;
let a: SiteDatabase;
let b: SiteDatabase;
let atB: RunningReplicator;

beforeAll(async () => {
  pair = await startReplicationPair();
  ({ a, b, atB } = pair);
  await pair.streaming();
  for (const { owner } of [b, a]) {
    await query(
      owner,
      `SELECT lastcall.define_kind('tariffs', 'area text, band bigint, price numeric, note jsonb, changed timestamptz',
         '{area, band}', '[{"name": "tariff", "date": "changed", "columns": ["price", "note"]}]',
         row_filter => $$area <> 'here'$$)`,
    );
  }
  await query(
    a.app,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date)
     SELECT i, i::text, '2026-01-01 00:00:00.000001+00' FROM generate_series(1, ${ROWS}) i`,
  );
  await query(
    a.app,
    `INSERT INTO lastcall.tariffs SELECT CASE WHEN i % 2 = 0 THEN 'here' ELSE 'there' END, i, 1.5, '{"a": 1}', '2026-01-01'
     FROM generate_series(1, ${ROWS}) i`,
  );
  await expectCopiesEqualOrigins([a, b]);
  await untilTariffsAreEqual();
});

afterAll(async () => {
  await atB?.replicator.stop();
  await pair?.stop();
});

async function untilTariffsAreEqual(): Promise<void> {
  const digest = async ({ owner }: SiteDatabase) =>
    (
      await query(
        owner,
        `SELECT count(*), md5(string_agg(t::text, ',' ORDER BY band)) FROM lastcall.tariffs_a t WHERE area <> 'here'`,
      )
    )[0];
  await waitFor(async () => JSON.stringify(await digest(a)) === JSON.stringify(await digest(b)), {
    what: 'the tariffs to be equal',
  });
}

/** What identifies the tables themselves. */
const tables = async () =>
  (
    await query<{ oid: number }>(
      b.owner,
      `SELECT to_regclass(name)::oid AS oid FROM unnest('{lastcall.lastcalls_a, lastcall.tariffs_a}'::text[]) name`,
    )
  ).map(({ oid }) => oid);

/** b's copies of a lack what the slot sent meanwhile; `meanwhile` runs while nobody replicates. */
async function resyncForGap(meanwhile: () => Promise<unknown>): Promise<void> {
  await atB.replicator.stop();
  await meanwhile();
  await query(b.owner, `UPDATE lastcall.replication_position SET lsn = '0/1' WHERE peer = 'a'`);
  atB = startReplicator(b, { a: a.peer });
  await untilStreaming(atB);
  expect(atB.states).toContain('resyncing gap');
}

/** As no role of the application's could. */
const tamper = (sql: string) =>
  withClient(b.owner, async (client) => {
    await client.query(`SET session_replication_role = replica`);
    await client.query(sql);
  });

test('I6 a copy that hardly differs stays, and only the rows that differ are replaced', async () => {
  const before = await tables();
  const readers = watchReaders(b, 'lastcalls_a');
  await resyncForGap(async () => {
    await query(a.app, `UPDATE lastcall.lastcalls SET last_dialed_call = '99' WHERE terminal_id IN (7, 8)`);
    await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (90001, '1')`);
    await query(a.app, `UPDATE lastcall.tariffs SET note = '{"a": 1.0}', price = 1.50 WHERE band = 7`);
    await tamper(`
      UPDATE lastcall.lastcalls_a SET last_dialed_call = 'wrong', last_dialed_date = '2030-01-01' WHERE terminal_id = 9;
      DELETE FROM lastcall.lastcalls_a WHERE terminal_id = 10;
      INSERT INTO lastcall.lastcalls_a (terminal_id, last_dialed_call) VALUES (90002, 'foreign');
      DELETE FROM lastcall.tariffs_a WHERE band = 9`);
  });
  await expectCopiesEqualOrigins([a, b]);
  await untilTariffsAreEqual();
  expect(await tables()).toEqual(before);
  const { fewestRows, longestWaitMs } = await readers.stop();
  expect(fewestRows).toBeGreaterThanOrEqual(ROWS - 1);
  expect(longestWaitMs).toBeLessThan(100);
});

test('I1 a copy that differs everywhere is copied as a whole', async () => {
  const before = await tables();
  await resyncForGap(() => query(a.app, `UPDATE lastcall.lastcalls SET last_dialed_call = '77'`));
  await expectCopiesEqualOrigins([a, b]);
  const [lastcalls, tariffs] = await tables();
  expect(lastcalls).not.toBe(before[0]);
  expect(tariffs).toBe(before[1]);
});
