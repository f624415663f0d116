import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
import { withClient } from '../support/postgres.ts';
import {
  query,
  type ReplicationPair,
  type SiteDatabase,
  startReplicationPair,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: ReplicationPair;
let a: SiteDatabase;
let b: SiteDatabase;

beforeAll(async () => {
  pair = await startReplicationPair();
  ({ a, b } = pair);
  await pair.streaming();
});

afterAll(() => pair?.stop());

const add = (site: SiteDatabase, id: number) =>
  query(
    site.app,
    `INSERT INTO lastcall.terminals (terminal_id, username, aor, number) VALUES ($1, $2, $3, $4)`,
    [id, `u${id}`, `sip:u${id}@x`, `${id}`],
  );
const remove = (site: SiteDatabase, id: number) =>
  query(site.app, 'DELETE FROM lastcall.terminals WHERE terminal_id = $1', [id]);
const dial = (site: SiteDatabase, id: number, number: string) =>
  query(
    site.app,
    'INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, $2, clock_timestamp())',
    [id, number],
  );
const seenAt = (site: SiteDatabase, from: number, to: number) =>
  query(
    site.app,
    'SELECT terminal_id::int AS id FROM lastcall.lastcalls_freshest WHERE terminal_id BETWEEN $1 AND $2',
    [from, to],
  );
const rowsAt = async (site: SiteDatabase, from: number, to: number): Promise<number> =>
  (
    await query(site.owner, 'SELECT FROM lastcall.lastcalls_by_site WHERE terminal_id BETWEEN $1 AND $2', [
      from,
      to,
    ])
  ).length;
/** A beat of each site has been to the other and back: whatever came before is applied everywhere. */
async function untilSettled(): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
    [a, b],
  ] as const) {
    const [beat] = await query(from.owner, 'SELECT lastcall.beat()::text AS at');
    await waitFor(
      async () =>
        (
          await query(
            to.owner,
            `SELECT FROM lastcall.heartbeat_${from.site} WHERE beat_at >= $1::timestamptz`,
            [beat?.['at']],
          )
        ).length,
    );
  }
}

describe('S3 S6 a removal', () => {
  const FIRST = 1_000;
  const ROUNDS = 900;

  test('of 900 calls recorded at b while a removes their terminal none survives, for the next owner neither', async () => {
    const ids = Array.from({ length: ROUNDS }, (_, index) => FIRST + index);
    await query(
      a.owner,
      `INSERT INTO lastcall.terminals_a (terminal_id, username, aor, number) SELECT n, 'u' || n, 'sip:' || n, n FROM generate_series($1::bigint, $2::bigint) n`,
      [FIRST, FIRST + ROUNDS - 1],
    );
    await untilSettled();
    await withClient(a.app, (atA) =>
      withClient(b.app, async (atB) => {
        for (const id of ids) {
          await Promise.all([
            atA.query('DELETE FROM lastcall.terminals WHERE terminal_id = $1', [id]),
            atB.query(
              `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date)
                 VALUES ($1, 'late', clock_timestamp() + $2 * interval '1 millisecond')`,
              [id, id % 3],
            ),
          ]);
        }
      }),
    );
    await untilSettled();
    const last = FIRST + ROUNDS - 1;
    for (const site of [a, b]) expect(await seenAt(site, FIRST, last)).toEqual([]);
    // The next owner of each id.
    for (const id of ids.slice(0, 200)) await add(id % 2 === 0 ? a : b, id);
    await untilSettled();
    for (const site of [a, b]) expect(await seenAt(site, FIRST, last)).toEqual([]);
    await dial(b, FIRST, 'own');
    await waitFor(async () => (await seenAt(a, FIRST, FIRST)).length === 1);
    // A sweep leaves what another session holds just then to the next one; a copy follows its origin's.
    await waitFor(
      async () => {
        for (const site of [a, b]) await query(site.replicator, 'SELECT lastcall.sweep_forgotten()');
        return (await rowsAt(a, FIRST + 1, last)) + (await rowsAt(b, FIRST + 1, last)) === 0;
      },
      { what: 'no row of theirs in any table' },
    );
    await expectCopiesEqualOrigins([a, b]);
  });

  test('is not undone by an older date that a journal writes late', async () => {
    await add(a, 20);
    await untilSettled();
    await remove(a, 20);
    await untilSettled();
    await dial(b, 20, 'late');
    expect(await seenAt(b, 20, 20)).toEqual([]);
  });
});

test('C9 a superuser’s DELETE through the view reaches every site as well', async () => {
  await dial(a, 20, 'only at a');
  await dial(b, 21, 'own');
  await untilSettled();
  await query(pair.server.url('site_b'), 'DELETE FROM lastcall.lastcalls WHERE terminal_id IN (20, 21)');
  await untilSettled();
  expect([await rowsAt(a, 20, 21), await rowsAt(b, 20, 21)]).toEqual([0, 0]);
  await expectCopiesEqualOrigins([a, b]);
});

describe('a row that somebody has locked', () => {
  test('does not stall the direction: its mark is applied, readers ignore the row, the sweep finishes it', async () => {
    await dial(b, 30, 'locked');
    await untilSettled();
    await withClient(b.owner, async (holder) => {
      await holder.query('BEGIN');
      await holder.query('SELECT FROM lastcall.lastcalls_b WHERE terminal_id = 30 FOR UPDATE');
      await query(a.app, 'SELECT lastcall.forget(30)');
      await dial(a, 31, 'goes on');
      await waitFor(
        async () => (await query(b.owner, 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = 31')).length,
        {
          what: 'what came after the mark',
        },
      );
      expect(await seenAt(b, 30, 30)).toEqual([]);
      expect(await query(b.owner, 'SELECT FROM lastcall.lastcalls_b WHERE terminal_id = 30')).toHaveLength(1);
      await holder.query('COMMIT');
    });
    await query(b.replicator, 'SELECT lastcall.sweep_forgotten()');
    expect(await query(b.owner, 'SELECT FROM lastcall.lastcalls_b WHERE terminal_id = 30')).toEqual([]);
    await expectCopiesEqualOrigins([a, b]);
  });
});

test('I1 a mark and an older write in one batch leave the copy equal', async () => {
  await query(
    a.app,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES (40, 'new', '2026-02-01')`,
  );
  await expectCopiesEqualOrigins([a, b]);
  await withClient(a.app, async (client) => {
    await client.query('BEGIN');
    await client.query(`SELECT lastcall.forget(40, 'dialed')`);
    await client.query(
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date, last_received_call)
         VALUES (40, 'old', '2026-01-01', 'missed')`,
    );
    await client.query('COMMIT');
  });
  await expectCopiesEqualOrigins([a, b], 5_000);
  expect(
    await query(
      b.app,
      'SELECT last_dialed_call AS dialed, last_received_call AS received FROM lastcall.lastcalls_freshest WHERE terminal_id = 40',
    ),
  ).toEqual([{ dialed: null, received: 'missed' }]);
});
