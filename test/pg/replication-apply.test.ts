import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { lsn, NO_LSN } from '../../shared/domain/lsn.ts';
import { APPLY_SETTINGS, Applier } from '../../shared/postgres/replication/apply.ts';
import { type Batch, Conflater } from '../../shared/postgres/replication/conflate.ts';
import { readCopyTables } from '../../shared/postgres/replication/copy-catalog.ts';
import { takeOwnership } from '../../shared/postgres/replication/owner.ts';
import type { Relation } from '../../shared/postgres/replication/pgoutput.ts';
import { connectToPrimary } from '../../shared/postgres/replication/primary.ts';
import { type CopyTable, layOut, type TableLayout } from '../../shared/postgres/replication/table-layout.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { makeSite, query, type SiteDatabase, siteOf } from '../support/replication-pair.ts';
import { bigint, tuple } from '../unit/replication/tuples.ts';

let server: PostgresServer;
let b: SiteDatabase;
let connection: Connection;
let applier: Applier;
let copy: CopyTable;
let position: bigint;

beforeAll(async () => {
  server = await startPostgres();
  b = await makeSite('b', ['a'], siteOf(server));
  connection = await connectToPrimary(b.replicator, { applicationName: 'test', settings: APPLY_SETTINGS });
  copy = (await readCopyTables(connection, 'a')).get('lastcalls_a') as CopyTable;
});

afterAll(async () => {
  await connection?.close();
  await server?.remove();
});

beforeEach(async () => {
  await query(b.owner, 'DELETE FROM lastcall.lastcalls_a');
  await query(b.owner, 'DELETE FROM lastcall.replication_position');
  await query(
    b.owner,
    `INSERT INTO lastcall.replication_position VALUES ('a', '7', 1, 'lastcall_b', 1, '0/0')`,
  );
  const { epoch } = await takeOwnership(connection, 'a', 'test');
  await connection.simple('DEALLOCATE ALL');
  applier = await Applier.open(connection, { peer: 'a', epoch, generation: 1n });
  position = 0n;
});

type Row = { readonly id: number } & {
  readonly [group in 'dialed' | 'received']?: { readonly call: string; readonly at: number };
};

/** As in a stream, where all batches of a table share it. */
let layout: TableLayout | null = null;
function layOutOnce(relation: Relation): TableLayout {
  layout ??= layOut(relation, copy, NO_LSN);
  return layout;
}

/** A batch as it comes from the stream: rows are upserts, numbers are deletes. */
function batch(changes: readonly (Row | number)[]): Batch {
  position += 10n;
  const endLsn = position;
  const conflater = new Conflater(layOutOnce, NO_LSN);
  conflater.relation({
    oid: 1,
    schema: 'lastcall',
    table: copy.table,
    replicaIdentity: 'd',
    columns: copy.columns,
  });
  conflater.begin(lsn(endLsn));
  for (const change of changes) {
    const bytes = tuple(
      copy.columns.map(({ name }) => {
        if (name === 'terminal_id') return bigint(typeof change === 'number' ? change : change.id);
        if (typeof change === 'number') return null;
        const group = change[name.includes('dialed') ? 'dialed' : 'received'];
        if (!group || !/^last_(dialed|received)_(call|date)$/.test(name)) return null;
        return name.endsWith('_call') ? Buffer.from(group.call) : bigint(group.at);
      }),
    );
    if (typeof change === 'number') conflater.remove(1, bytes, 0, bytes.length);
    else conflater.upsert(1, bytes, 0, bytes.length);
  }
  conflater.commit(lsn(endLsn), 0);
  return conflater.take() as Batch;
}

const content = () =>
  query(
    b.owner,
    'SELECT terminal_id::int AS id, last_dialed_call AS dialed, last_received_call AS received FROM lastcall.lastcalls_a ORDER BY 1',
  );

test.each([false, true])(
  'S2 a batch replayed after a later one changes nothing (durable %s)',
  async (durable) => {
    const first = batch([{ id: 1, dialed: { call: 'old', at: 1 } }]);
    await applier.apply(first, durable);
    await applier.apply(
      batch([
        { id: 1, dialed: { call: 'new', at: 2 } },
        { id: 2, dialed: { call: 'x', at: 2 } },
      ]),
      durable,
    );
    const before = await content();
    await expect(applier.apply(first, durable)).rejects.toMatchObject({ code: 'LC002' });
    expect(await content()).toEqual(before);
  },
);

test('I2 an older date never replaces a newer one, group by group', async () => {
  await applier.apply(
    batch([{ id: 1, dialed: { call: 'd5', at: 5 }, received: { call: 'r5', at: 5 } }]),
    false,
  );
  await applier.apply(
    batch([{ id: 1, dialed: { call: 'd4', at: 4 }, received: { call: 'r6', at: 6 } }]),
    false,
  );
  expect(await content()).toEqual([{ id: 1, dialed: 'd5', received: 'r6' }]);
});

test('I1 a group that the origin cleared is cleared', async () => {
  await applier.apply(
    batch([{ id: 1, dialed: { call: 'd', at: 5 }, received: { call: 'r', at: 5 } }]),
    false,
  );
  await applier.apply(batch([{ id: 1, dialed: { call: 'd', at: 5 } }]), false);
  expect(await content()).toEqual([{ id: 1, dialed: 'd', received: null }]);
});

test('rule 12 what follows a delete in the same batch owes nothing to the row before it', async () => {
  await applier.apply(batch([{ id: 1, dialed: { call: 'newest', at: 9 } }]), false);
  await applier.apply(
    batch([1, { id: 1, received: { call: 'r', at: 1 } }, { id: 2, dialed: { call: 'x', at: 1 } }, 2, 3]),
    false,
  );
  expect(await content()).toEqual([{ id: 1, dialed: null, received: 'r' }]);
});

test.each([false, true])(
  'rule 7 the worker that lost the direction writes nothing (durable %s)',
  async (durable) => {
    await takeOwnership(connection, 'a', 'another');
    const attempt = applier.apply(batch([{ id: 1, dialed: { call: 'x', at: 1 } }]), durable);
    await expect(attempt).rejects.toMatchObject({ code: 'LC001' });
    expect(await content()).toEqual([]);
    expect(await query(b.owner, 'SELECT lsn::text FROM lastcall.replication_position')).toEqual([
      { lsn: '0/0' },
    ]);
  },
);

test('rule 4 a batch that fails leaves the position where it was', async () => {
  const wrong = batch([{ id: -1, dialed: { call: 'x', at: 1 } }]);
  await expect(applier.apply(wrong, false)).rejects.toMatchObject({ code: '23514' });
  expect(await query(b.owner, 'SELECT lsn::text FROM lastcall.replication_position')).toEqual([
    { lsn: '0/0' },
  ]);
});

/** The second is sent while the first is on its way. */
async function oneBehindTheOther(first: Batch, second: Batch): Promise<void> {
  const applied = applier.apply(first, false);
  await Promise.all([applied, applier.apply(second, false, { endLsn: first.endLsn, applied })]);
}

test('rules 4 and 13 a batch that follows one which failed changes nothing, and fails as well', async () => {
  await applier.apply(batch([{ id: 1, dialed: { call: 'x', at: 1 } }]), false);
  const wrong = batch([{ id: -1, dialed: { call: 'x', at: 1 } }]);
  const right = batch([{ id: 2, dialed: { call: 'x', at: 1 } }]);
  await expect(oneBehindTheOther(wrong, right)).rejects.toMatchObject({ code: '23514' });
  expect(await content()).toEqual([{ id: 1, dialed: 'x', received: null }]);
  expect(await query(b.owner, 'SELECT lsn::text FROM lastcall.replication_position')).toEqual([
    { lsn: '0/A' },
  ]);
});

test('rule 13 a batch that follows one which had to be compared group by group is applied after it', async () => {
  await applier.apply(batch([{ id: 1, dialed: { call: 'd5', at: 5 } }]), false);
  const older = batch([{ id: 1, dialed: { call: 'd4', at: 4 }, received: { call: 'r4', at: 4 } }]);
  const later = batch([{ id: 1, dialed: { call: 'd6', at: 6 }, received: { call: 'r6', at: 6 } }]);
  await oneBehindTheOther(older, later);
  expect(await content()).toEqual([{ id: 1, dialed: 'd6', received: 'r6' }]);
  expect(await query(b.owner, 'SELECT lsn::text FROM lastcall.replication_position')).toEqual([
    { lsn: '0/1E' },
  ]);
});

test('rule 34 a batch of 160 MB is one transaction of messages of 64 MB at most', async () => {
  const sizes: number[] = [];
  const pipeline = connection.pipeline.bind(connection);
  connection.pipeline = (write) =>
    pipeline((out) => {
      write(out);
      sizes.push(out.length);
    });
  const call = 'x'.repeat(400_000);
  const rows = Array.from({ length: 400 }, (_, index) => ({ id: index + 1, dialed: { call, at: 5 } }));
  await applier.apply(batch([...rows, 1_001]), false).finally(() => {
    connection.pipeline = pipeline;
  });
  expect(Math.max(...sizes)).toBeLessThanOrEqual(65 * 1024 ** 2);
  expect(sizes.length).toBeGreaterThan(3);
  const [row] = await query(
    b.owner,
    'SELECT count(*)::int AS rows, sum(length(last_dialed_call))::int AS bytes FROM lastcall.lastcalls_a',
  );
  expect(row).toEqual({ rows: 400, bytes: 400 * 400_000 });
  await takeOwnership(connection, 'a', 'another');
  await expect(applier.apply(batch(rows), false)).rejects.toMatchObject({ code: 'LC001' });
  expect(await query(b.owner, 'SELECT lsn::text FROM lastcall.replication_position')).toEqual([
    { lsn: '0/A' },
  ]);
});
