import { describe, expect, test } from 'vitest';
import { type Lsn, lsn, NO_LSN } from '../../../shared/domain/lsn.ts';
import { Conflater } from '../../../shared/postgres/replication/conflate.ts';
import type { Relation } from '../../../shared/postgres/replication/pgoutput.ts';
import { layOut, SchemaMismatch } from '../../../shared/postgres/replication/table-layout.ts';
import { bigint, COPY, RELATION, tuple, type Value } from './tuples.ts';

const OID = RELATION.oid;

function newConflater(from: Lsn = lsn(0n)): Conflater {
  const conflater = new Conflater((relation) => layOut(relation, COPY, NO_LSN), from);
  conflater.relation(RELATION);
  return conflater;
}

function upsert(conflater: Conflater, id: number | bigint, value: Value): void {
  const bytes = tuple([bigint(id), value]);
  conflater.upsert(OID, bytes, 0, bytes.length);
}

function remove(conflater: Conflater, id: number): void {
  const bytes = tuple([bigint(id), null]);
  conflater.remove(OID, bytes, 0, bytes.length);
}

let end = 100n;
function transaction(conflater: Conflater, body: () => void, at = end): void {
  end += 10n;
  conflater.begin(lsn(at));
  body();
  conflater.commit(lsn(at + 1n), 0);
}

/** Key by key what a batch holds: `row text`, `tombstone`, or both. */
function content(conflater: Conflater): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const table of conflater.take()?.tables ?? []) {
    for (let slot = 0; slot < table.size; slot++) {
      const row = table.row(slot);
      const id = String(row.readBigInt64BE(7));
      const parts = [];
      if (table.isTombstone(slot)) parts.push('tombstone');
      if (table.isRow(slot)) parts.push(`row ${row.subarray(20).toString()}`);
      if (table.isPartial(slot)) parts.push('partial');
      shown[id] = parts.join(' ');
    }
  }
  return shown;
}

describe('rule 12 conflation', () => {
  test('of many writes of a key the last remains, and what came in is counted', () => {
    const conflater = newConflater();
    for (const value of ['one', 'two', 'three'])
      transaction(conflater, () => upsert(conflater, 1, Buffer.from(value)));
    transaction(conflater, () => upsert(conflater, 2, Buffer.from('other')));
    const batch = conflater.take();
    expect([batch?.rowsReceived, batch?.rowsOut]).toEqual([4, 2]);
    transaction(conflater, () => upsert(conflater, 1, Buffer.from('later')));
    expect(content(conflater)).toEqual({ 1: 'row later' });
  });

  test('an insert and delete that cancel out still owe their tombstone', () => {
    const conflater = newConflater();
    transaction(conflater, () => {
      upsert(conflater, 1, Buffer.from('x'));
      remove(conflater, 1);
    });
    expect(content(conflater)).toEqual({ 1: 'tombstone' });
  });

  test('a delete before a new row is not forgotten: what follows owes nothing to the row before', () => {
    const conflater = newConflater();
    transaction(conflater, () => remove(conflater, 1));
    transaction(conflater, () => upsert(conflater, 1, Buffer.from('new')));
    expect(content(conflater)).toEqual({ 1: 'tombstone row new' });
  });

  test('a batch is cut between transactions only', () => {
    const conflater = newConflater();
    transaction(conflater, () => upsert(conflater, 1, Buffer.from('x')));
    conflater.begin(lsn(9_000n));
    upsert(conflater, 2, Buffer.from('y'));
    expect(conflater.take()).toBeNull();
    conflater.commit(lsn(9_001n), 0);
    expect(conflater.take()?.endLsn).toBe(9_001n);
  });

  test('truncate takes what came before it and leaves what comes after', () => {
    const conflater = newConflater();
    transaction(conflater, () => {
      upsert(conflater, 1, Buffer.from('gone'));
      conflater.truncate([OID]);
      upsert(conflater, 2, Buffer.from('stays'));
    });
    const batch = conflater.take();
    expect(batch?.tables[0]?.truncated).toBe(true);
    expect(batch?.tables[0]?.size).toBe(1);
  });

  test('a truncate alone is a batch', () => {
    const conflater = newConflater();
    transaction(conflater, () => conflater.truncate([OID]));
    expect(conflater.take()?.tables[0]?.truncated).toBe(true);
  });

  test('S2 transactions before the stored position are passed over, the one at it is not', () => {
    const conflater = newConflater(lsn(500n));
    transaction(conflater, () => upsert(conflater, 1, Buffer.from('old')), 499n);
    expect(conflater.take()).toBeNull();
    transaction(conflater, () => upsert(conflater, 1, Buffer.from('new')), 500n);
    expect(content(conflater)).toEqual({ 1: 'row new' });
  });

  test('values left out of line are taken from the row before, or the row is marked partial', () => {
    const conflater = newConflater();
    transaction(conflater, () => upsert(conflater, 1, Buffer.from('large')));
    transaction(conflater, () => upsert(conflater, 1, 'unchanged'));
    transaction(conflater, () => upsert(conflater, 2, 'unchanged'));
    expect(content(conflater)).toEqual({ 1: 'row large', 2: 'partial' });
    transaction(conflater, () => upsert(conflater, 2, 'unchanged'));
    transaction(conflater, () => upsert(conflater, 2, Buffer.from('whole')));
    expect(content(conflater)).toEqual({ 2: 'row whole' });
  });

  test('keys beyond 2^53 stay apart', () => {
    const conflater = newConflater();
    transaction(conflater, () => {
      upsert(conflater, 9_007_199_254_740_992n, Buffer.from('even'));
      upsert(conflater, 9_007_199_254_740_993n, Buffer.from('odd'));
      upsert(conflater, -9_223_372_036_854_775_808n, Buffer.from('least'));
    });
    expect(Object.keys(content(conflater))).toHaveLength(3);
  });

  test('I7 memory grows with keys, not with writes', () => {
    const conflater = newConflater();
    for (let i = 0; i < 200_000; i++)
      transaction(conflater, () => upsert(conflater, i % 100, Buffer.alloc(50 + (i % 400), 'x')));
    expect(conflater.byteCount).toBeLessThan(3 * 1024 * 1024);
    expect(conflater.take()?.rowsOut).toBe(100);
  });

  test('a recycled batch starts empty', () => {
    const conflater = newConflater();
    transaction(conflater, () => upsert(conflater, 1, Buffer.from('x')));
    const first = conflater.take();
    if (first) conflater.recycle(first);
    transaction(conflater, () => upsert(conflater, 2, Buffer.from('y')));
    expect(content(conflater)).toEqual({ 2: 'row y' });
    transaction(conflater, () => upsert(conflater, 3, Buffer.from('z')));
    expect(content(conflater)).toEqual({ 3: 'row z' });
  });
});

describe('layout', () => {
  const relation = (changes: Partial<Relation>): Relation => ({ ...RELATION, ...changes });

  test('an origin without one of our columns is taken, one with more is taken without them', () => {
    const [key, call] = RELATION.columns;
    expect(layOut(relation({ columns: [key] }), COPY, NO_LSN).sourceIndexes).toEqual([0, -1]);
    const unknown = { name: 'colour', typeOid: 25, isKey: false };
    const layout = layOut(relation({ columns: [key, unknown, call] }), COPY, NO_LSN);
    expect(layout.sourceIndexes).toEqual([0, 2]);
    expect(layout.columns.map((column) => column?.name ?? null)).toEqual([
      'terminal_id',
      null,
      'last_dialed_call',
    ]);
  });

  test('replica identity full names rows by the whole row, which has their key', () => {
    const columns = RELATION.columns.map((column) => ({ ...column, isKey: true }));
    const layout = layOut(relation({ replicaIdentity: 'f', columns }), COPY, NO_LSN);
    expect(layout.keyIndexes).toEqual([0]);
  });

  test('rule 36 what committed before a table was copied anew is passed over, of that table alone', () => {
    const conflater = new Conflater((relation) => layOut(relation, COPY, lsn(1_000n)), lsn(0n));
    conflater.relation(RELATION);
    transaction(conflater, () => upsert(conflater, 1, Buffer.from('copied')), 999n);
    transaction(conflater, () => upsert(conflater, 2, Buffer.from('streamed')), 1_000n);
    expect(content(conflater)).toEqual({ 2: 'row streamed' });
  });

  test('rule 36 changes of a table that is not applied here are passed over', () => {
    const conflater = new Conflater(() => null, lsn(0n));
    conflater.relation(RELATION);
    transaction(conflater, () => {
      upsert(conflater, 1, Buffer.from('x'));
      remove(conflater, 2);
      conflater.truncate([OID]);
    });
    expect(content(conflater)).toEqual({});
  });

  test('another type, another key and another replica identity are refused with a remedy', () => {
    const [key, call] = RELATION.columns;
    for (const changes of [
      { columns: [key, { ...call, typeOid: 1043 }] },
      { columns: [{ ...key, isKey: false }, call] },
      { columns: [call] },
      { replicaIdentity: 'i' },
      { replicaIdentity: 'n' },
    ]) {
      expect(() => layOut(relation(changes), COPY, NO_LSN)).toThrow(SchemaMismatch);
    }
  });
});
