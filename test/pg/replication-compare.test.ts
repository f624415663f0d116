import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareSites, type TableComparison } from '../../shared/postgres/repair/compare.ts';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
import { markSql } from '../support/marks.ts';
import {
  query,
  type ReplicationPair,
  type SiteDatabase,
  startReplicationPair,
} from '../support/replication-pair.ts';

let pair: ReplicationPair;
let a: SiteDatabase;
let b: SiteDatabase;

beforeAll(async () => {
  pair = await startReplicationPair();
  ({ a, b } = pair);
  await query(
    a.app,
    'INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) SELECT i, i FROM generate_series(1, 10000) i',
  );
  await pair.streaming();
  await expectCopiesEqualOrigins([a, b]);
});

afterAll(() => pair?.stop());

const compare = (repair = false) =>
  compareSites({
    sites: new Map([
      ['a', a.replicator],
      ['b', b.replicator],
    ]),
    repair,
  });
const of = (tables: readonly TableComparison[], table: string) => tables.find((one) => one.table === table);

test('equal copies compare equal while writes flow', async () => {
  let writing = true;
  const writer = (async () => {
    for (let i = 0; writing; i++) {
      await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES ($1, $2)`, [
        (i % 50) + 1,
        `w${i}`,
      ]);
    }
  })();
  const result = await compare();
  writing = false;
  await writer;
  expect(result.equal).toBe(true);
  expect(result.tables).toHaveLength(6);
  expect(of(result.tables, 'lastcalls_a')).toMatchObject({
    from: 'a',
    to: 'b',
    originRows: 10_000,
    copyRows: 10_000,
    differing: 0,
  });
});

test('a changed, a missing and a foreign row are named, and repaired from the origin', async () => {
  await query(
    b.owner,
    `UPDATE lastcall.lastcalls_a SET last_dialed_call = 'forged', last_dialed_date = 'infinity' WHERE terminal_id = 77`,
  );
  await query(b.owner, `DELETE FROM lastcall.lastcalls_a WHERE terminal_id = 5000`);
  await query(b.owner, `INSERT INTO lastcall.lastcalls_a (terminal_id) VALUES (123456789012)`);
  await query(b.owner, markSql('a'), [4, 'dialed', '2001-01-01']);

  const found = await compare();
  expect(found.equal).toBe(false);
  expect([...(of(found.tables, 'lastcalls_a')?.differingKeys ?? [])].sort()).toEqual([
    123456789012, 5000, 77,
  ]);
  expect(of(found.tables, 'marks_a')?.differingKeys).toEqual(['["4", "lastcalls", "dialed"]']);

  const repaired = await compare(true);
  expect(repaired.equal).toBe(true);
  expect(of(repaired.tables, 'lastcalls_a')?.repaired).toBe(3);
  expect((await compare()).tables.every(({ differing }) => differing === 0)).toBe(true);
  await expectCopiesEqualOrigins([a, b]);
});

test('150,000 differing keys are counted, and a hundred of them named', async () => {
  await query(
    b.owner,
    `INSERT INTO lastcall.lastcalls_a (terminal_id, last_dialed_call) SELECT i, 'foreign' FROM generate_series(1000001, 1150000) i`,
  );
  const found = await compare();
  expect(of(found.tables, 'lastcalls_a')).toMatchObject({ differing: 150_000 });
  expect(of(found.tables, 'lastcalls_a')?.differingKeys).toHaveLength(100);
  await query(b.owner, 'DELETE FROM lastcall.lastcalls_a WHERE terminal_id > 1000000');
  expect((await compare()).equal).toBe(true);
});
