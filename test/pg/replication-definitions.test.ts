import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
import {
  query,
  type ReplicationPair,
  type RunningReplicator,
  type SiteDatabase,
  startReplicationPair,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: ReplicationPair;
let a: SiteDatabase;
let b: SiteDatabase;
let atB: RunningReplicator;

beforeAll(async () => {
  pair = await startReplicationPair();
  ({ a, b, atB } = pair);
  await pair.streaming();
});

afterAll(() => pair?.stop());

const direction = (of: RunningReplicator, from: string) => {
  const found = of.replicator.directions.find((one) => one.from === from);
  if (!found) throw new Error(`no direction from ${from}`);
  return found;
};

describe('rule 36 what changes in the catalog while changes stream', () => {
  const alter = (site: SiteDatabase, change: string) =>
    query(site.owner, `ALTER TABLE lastcall.terminals_a ${change}`);
  const kindAt = async (kind: string) => {
    const [row] = await query(
      b.owner,
      `SELECT state, reason, detail FROM lastcall.replication_kinds WHERE peer = 'a' AND kind = $1`,
      [kind],
    );
    return row;
  };
  const untilKind = (kind: string, state: string, reason: string | null) =>
    waitFor(
      async () => {
        const row = await kindAt(kind);
        if (row?.['state'] === state && row['reason'] === reason) return row;
        throw new Error(JSON.stringify(row));
      },
      { what: `${kind} to be ${state} ${reason}` },
    );
  const add = (id: number) =>
    query(
      a.app,
      `INSERT INTO lastcall.terminals (terminal_id, username, aor, number) VALUES ($1, $2, $3, $4)`,
      [id, `u${id}`, `sip:u${id}@x`, `${id}`],
    );
  const untilCopied = (id: number, condition = 'true') =>
    waitFor(
      async () =>
        (await query(b.owner, `SELECT FROM lastcall.terminals_a WHERE terminal_id = ${id} AND ${condition}`))
          .length === 1,
      { what: `terminal ${id} at b with ${condition}` },
    );

  test('a column that only the subscriber has is left alone, and filled when the origin gets it too', async () => {
    await alter(b, `ADD COLUMN note text DEFAULT 'none'`);
    await add(30);
    await untilCopied(30, `note = 'none'`);
    await alter(a, 'ADD COLUMN note text');
    await query(a.owner, `UPDATE lastcall.terminals_a SET note = 'from a'`);
    await untilCopied(30, `note = 'from a'`);
    await expectCopiesEqualOrigins([a, b]);
  });

  test('a column that only the origin has stops and loses nothing: it waits, flagged, and comes with all its rows', async () => {
    await alter(a, `ADD COLUMN colour text DEFAULT 'red'`);
    await add(31);
    await query(a.owner, `UPDATE lastcall.terminals_a SET colour = 'blue' WHERE terminal_id = 31`);
    await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (31, '31')`);
    await untilCopied(31);
    await waitFor(
      async () => (await query(b.owner, 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = 31')).length,
    );
    const held = await untilKind('terminals', 'streaming', 'columns-held-back');
    expect(held?.['detail']).toContain('colour');
    await alter(b, 'ADD COLUMN colour text');
    await untilCopied(31, `colour = 'blue'`);
    await untilCopied(30, `colour = 'red'`);
    await untilKind('terminals', 'streaming', null);
    await expectCopiesEqualOrigins([a, b]);
  });

  test('a column dropped at either site first does neither', async () => {
    await alter(b, 'DROP COLUMN note');
    await add(32);
    await untilCopied(32);
    await alter(a, 'DROP COLUMN note, DROP COLUMN colour');
    await add(33);
    await untilCopied(33);
    await alter(b, 'DROP COLUMN colour');
    await add(34);
    await untilCopied(34);
    await expectCopiesEqualOrigins([a, b]);
  });

  test('another type holds that kind back, and the others go on; mended, it is copied anew', async () => {
    for (const site of [b, a]) await alter(site, 'ADD COLUMN size integer');
    await add(34_000);
    await untilCopied(34_000);
    await alter(a, 'ALTER COLUMN size TYPE text');
    await add(35);
    await untilKind('terminals', 'held-back', 'schema-mismatch');
    await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (35, '35')`);
    await waitFor(
      async () => (await query(b.owner, 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = 35')).length,
    );
    expect(await query(b.owner, 'SELECT FROM lastcall.terminals_a WHERE terminal_id = 35')).toEqual([]);
    await alter(a, 'ALTER COLUMN size TYPE integer USING size::integer');
    await untilCopied(35);
    await untilKind('terminals', 'streaming', null);
    await expectCopiesEqualOrigins([a, b]);
  });

  test('replica identity full is taken, nothing is held back until it is mended', async () => {
    await query(a.owner, 'ALTER TABLE lastcall.lastcalls_a REPLICA IDENTITY FULL');
    await query(
      a.app,
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (36, '1'), (37, '1')`,
    );
    await query(a.app, `UPDATE lastcall.lastcalls SET last_dialed_call = '2' WHERE terminal_id = 36`);
    await query(a.app, 'DELETE FROM lastcall.lastcalls WHERE terminal_id = 37');
    await expectCopiesEqualOrigins([a, b]);
    await query(a.owner, 'ALTER TABLE lastcall.lastcalls_a REPLICA IDENTITY NOTHING');
    await untilKind('lastcalls', 'held-back', 'replica-identity');
    await query(a.owner, 'ALTER TABLE lastcall.lastcalls_a REPLICA IDENTITY DEFAULT');
    await query(a.app, `UPDATE lastcall.lastcalls SET last_dialed_call = '3' WHERE terminal_id = 36`);
    await untilKind('lastcalls', 'streaming', null);
    await expectCopiesEqualOrigins([a, b]);
  });

  test.each([
    ['emptied of a table', 'ALTER PUBLICATION lastcall_a DROP TABLE lastcall.lastcalls_a', 'not-published'],
    ['altered', `ALTER PUBLICATION lastcall_a SET (publish = 'insert')`, 'publication-incomplete'],
  ])(
    'a publication that was %s is noticed, and the kind copied anew when it is mended',
    async (_, sql, reason) => {
      const asked = atB.states.length;
      await query(a.owner, sql);
      await query(
        a.app,
        `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (38, '1')
      ON CONFLICT (terminal_id) DO NOTHING`,
      );
      await query(
        a.app,
        `UPDATE lastcall.lastcalls SET last_dialed_call = last_dialed_call || '+' WHERE terminal_id = 38`,
      );
      await untilKind('lastcalls', 'held-back', reason);
      await query(
        a.owner,
        reason === 'not-published'
          ? 'ALTER PUBLICATION lastcall_a ADD TABLE lastcall.lastcalls_a'
          : `ALTER PUBLICATION lastcall_a SET (publish = 'insert, update, delete, truncate')`,
      );
      await untilKind('lastcalls', 'streaming', null);
      expect(atB.states.slice(asked)).toContain('resyncing changes-missed');
      await expectCopiesEqualOrigins([a, b]);
    },
  );

  test('a publication that was altered and altered back between two looks is noticed all the same', async () => {
    const asked = atB.states.length;
    await query(
      a.owner,
      `ALTER PUBLICATION lastcall_a DROP TABLE lastcall.lastcalls_a;
       UPDATE lastcall.lastcalls_a SET last_dialed_call = 'unpublished', last_dialed_date = clock_timestamp() WHERE terminal_id = 36;
       ALTER PUBLICATION lastcall_a ADD TABLE lastcall.lastcalls_a`,
    );
    await waitFor(() => atB.states.slice(asked).includes('resyncing publication-changed'));
    await expectCopiesEqualOrigins([a, b]);
  });

  test('a table in the publication that nobody knows here is passed over', async () => {
    await query(
      a.owner,
      `CREATE TABLE lastcall.stray_a (id int PRIMARY KEY); ALTER PUBLICATION lastcall_a ADD TABLE lastcall.stray_a;
       CREATE TABLE public.stray (id int PRIMARY KEY); ALTER PUBLICATION lastcall_a ADD TABLE public.stray`,
    );
    await query(a.owner, 'INSERT INTO lastcall.stray_a VALUES (1); INSERT INTO public.stray VALUES (1)');
    await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (39, '1')`);
    await expectCopiesEqualOrigins([a, b]);
    expect(direction(atB, 'a').state).toMatch(/streaming|catching-up/);
    await query(a.owner, 'DROP TABLE lastcall.stray_a, public.stray');
  });
});
