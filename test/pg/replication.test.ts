import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  expectCopiesEqualOrigins,
  expectCopyRejectsApp,
  expectSameFreshest,
  watchReaders,
} from '../support/invariants.ts';
import { type PostgresServer, startPostgres, withClient } from '../support/postgres.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  startReplicator,
  untilStreaming,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';

let server: PostgresServer;
let a: SiteDatabase;
let b: SiteDatabase;
let atA: RunningReplicator;
let atB: RunningReplicator;

beforeAll(async () => {
  server = await startPostgres();
  for (const site of ['a', 'b']) await server.createDatabase(`site_${site}`);
  a = await makeSite('a', ['b'], (user, password) => server.url('site_a', user, password));
  b = await makeSite('b', ['a'], (user, password) => server.url('site_b', user, password));
  // As lastcall_peer, which reads and has slots: everything here is done with no more than that.
  atA = startReplicator(a, { b: b.peer });
  atB = startReplicator(b, { a: a.peer });
  await Promise.all([untilStreaming(atA), untilStreaming(atB)]);
});

afterAll(async () => {
  await Promise.all([atA?.replicator.stop(), atB?.replicator.stop()]);
  await server?.remove();
});

const direction = (running: RunningReplicator, from: string) => {
  const found = running.replicator.directions.find((one) => one.from === from);
  if (!found) throw new Error(`no direction from ${from}`);
  return found;
};

describe('streaming', () => {
  test('S1 a row written at one site stands at the other within moments, all 26 columns as they were', async () => {
    const awkward = `O'Brien \\ "x" \t ,{}() NULL ünï☎️ 𝔸`;
    await query(
      a.app,
      `INSERT INTO lastcall.lastcalls VALUES (7, 9007199254740993, $1, -1, '2026-01-02 03:04:05.678901+00', '', 0, '2026-01-02 03:04:05.999999+00', $1, $1, 5, $1, $1,
        $1, $1, 9223372036854775807, '', NULL, '0001-01-01 00:00:00.000001+00', $1, $1, '2026-01-02 03:04:05.000001+00', '-infinity', $1, $1, $1)`,
      [awkward],
    );
    await query(
      b.app,
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES (8, 'x', '2026-02-03 04:05:06.789012+00')`,
    );
    await expectCopiesEqualOrigins([a, b]);
    const [row] = await query(
      b.app,
      'SELECT last_dialed_call, last_received_date::text AS date FROM lastcall.lastcalls_a WHERE terminal_id = 7',
    );
    expect(row).toEqual({ last_dialed_call: awkward, date: '2026-01-02 03:04:05.999999+00' });
  });

  test('an update, a terminal with array columns and a value too large for its page arrive unchanged', async () => {
    const large = Array.from({ length: 3000 }, (_, i) =>
      String.fromCharCode(0x4e00 + ((i * 7919) % 20000)),
    ).join('');
    await query(a.owner, `ALTER TABLE lastcall.lastcalls_a ALTER last_received_sip_uri SET STORAGE EXTERNAL`);
    await query(
      a.app,
      `INSERT INTO lastcall.lastcalls (terminal_id, last_received_call, last_received_sip_uri) VALUES (9, '1', $1)`,
      [large],
    );
    await query(
      a.app,
      `UPDATE lastcall.lastcalls SET last_dialed_call = '2', last_dialed_date = clock_timestamp() WHERE terminal_id = 9`,
    );
    await query(
      a.app,
      `INSERT INTO lastcall.terminals (terminal_id, username, aor, number, features) VALUES (9, 'u9', 'sip:u9@x', '9', '{redial,return}')`,
    );
    await expectCopiesEqualOrigins([a, b]);
  });

  test('I8 the copies reject the application', async () => {
    await expectCopyRejectsApp(b, 'a');
    await expectCopyRejectsApp(a, 'b');
  });

  test('S3 a terminal deleted through the view is gone from every table, also where its row stood only in the other copy', async () => {
    await query(
      a.app,
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (20, '1'), (21, '1')`,
    );
    await expectCopiesEqualOrigins([a, b]);
    await query(b.app, 'DELETE FROM lastcall.lastcalls WHERE terminal_id = 20');
    await waitFor(
      async () =>
        (await query(a.owner, 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = 20')).length === 0,
    );
    await expectCopiesEqualOrigins([a, b]);
    expect(
      await query(b.owner, 'SELECT site FROM lastcall.lastcalls_by_site WHERE terminal_id = 20'),
    ).toEqual([]);
    await expectSameFreshest([a, b]);
  });

  test('a forgotten group is cleared in the copy though nothing newer replaces it', async () => {
    await query(
      a.app,
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_received_call) VALUES (22, '1', '2')`,
    );
    await expectCopiesEqualOrigins([a, b]);
    await query(b.app, `SELECT lastcall.forget(22, 'received')`);
    await waitFor(
      async () =>
        (
          await query(
            a.owner,
            'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = 22 AND last_received_date IS NULL',
          )
        ).length === 1,
    );
    await expectCopiesEqualOrigins([a, b]);
    const [row] = await query(
      b.owner,
      'SELECT last_dialed_call, last_received_call FROM lastcall.lastcalls_a WHERE terminal_id = 22',
    );
    expect(row).toEqual({ last_dialed_call: '1', last_received_call: null });
  });

  test('TRUNCATE at the origin empties the copy, and what follows it stays', async () => {
    await query(
      a.owner,
      `BEGIN; TRUNCATE lastcall.lastcalls_a; INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (23, '1'); COMMIT`,
    );
    await expectCopiesEqualOrigins([a, b]);
    expect(await query(b.owner, 'SELECT terminal_id::int FROM lastcall.lastcalls_a')).toEqual([
      { terminal_id: 23 },
    ]);
  });

  test('many writes of few terminals are conflated: fewer rows applied than received, the same end', async () => {
    const before = { ...direction(atB, 'a') };
    await query(
      a.owner,
      `DO $$ BEGIN FOR i IN 1..2000 LOOP UPDATE lastcall.lastcalls_a SET last_dialed_call = i::text, last_dialed_date = clock_timestamp() WHERE terminal_id = 23; END LOOP; END $$`,
    );
    await expectCopiesEqualOrigins([a, b]);
    const after = direction(atB, 'a');
    expect(after.rowsReceived - before.rowsReceived).toBeGreaterThanOrEqual(2000);
    expect(after.rowsApplied - before.rowsApplied).toBeLessThan(500);
  });

  test('lag, position and slot stand in the status table', async () => {
    await waitFor(async () => {
      const [row] = await query(
        b.app,
        `SELECT * FROM lastcall.replication_status WHERE peer = 'a' AND state = 'streaming' AND slot_wal_status = 'reserved'`,
      );
      return (
        row && row['lag_ms'] !== null && Number(row['lag_ms']) < 2_000 && row['slot_budget_bytes'] !== null
      );
    });
  });
});

describe('operators', () => {
  const requestResync = () =>
    query(
      b.app,
      `INSERT INTO lastcall.replication_control (peer, resync_requested_at, resync_reason) VALUES ('a', clock_timestamp(), 'operator')
       ON CONFLICT (peer) DO UPDATE SET resync_requested_at = excluded.resync_requested_at, resync_reason = excluded.resync_reason`,
    );

  test('a paused direction holds still, resumed it catches up', async () => {
    await query(
      b.app,
      `INSERT INTO lastcall.replication_control (peer, paused) VALUES ('a', true) ON CONFLICT (peer) DO UPDATE SET paused = true`,
    );
    await waitFor(() => direction(atB, 'a').reason === 'paused');
    await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (40, '1')`);
    await query(a.owner, 'SELECT lastcall.beat()');
    expect(await query(b.owner, 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = 40')).toEqual([]);
    await query(b.app, `UPDATE lastcall.replication_control SET paused = false WHERE peer = 'a'`);
    await expectCopiesEqualOrigins([a, b]);
  });

  test('I6 a resync on request: no reader sees fewer rows, none waits long', async () => {
    await query(
      a.owner,
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) SELECT i, i::text FROM generate_series(1000, 20999) i`,
    );
    await expectCopiesEqualOrigins([a, b]);
    const [{ count }] = (await query(b.owner, 'SELECT count(*)::int AS count FROM lastcall.lastcalls_a')) as [
      { count: number },
    ];
    const readers = watchReaders(b, 'lastcalls_a');
    const asked = atB.states.length;
    await requestResync();
    await waitFor(
      () =>
        atB.states.slice(asked).includes('resyncing operator') && direction(atB, 'a').state === 'streaming',
    );
    const seen = await readers.stop();
    expect(seen.fewestRows).toBe(count);
    expect(seen.longestWaitMs).toBeLessThan(100);
    expect(
      await query(b.owner, `SELECT FROM lastcall.replication_control WHERE resync_requested_at IS NOT NULL`),
    ).toEqual([]);
    await expectCopiesEqualOrigins([a, b]);
  });

  test('I6 a reader in a long transaction delays the swap and is not made to wait', async () => {
    await withClient(b.app, async (reader) => {
      await reader.query('BEGIN');
      await reader.query('SELECT count(*) FROM lastcall.lastcalls_a');
      await requestResync();
      await waitFor(() => direction(atB, 'a').state === 'resyncing');
      const others = watchReaders(b, 'lastcalls_a');
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect((await others.stop()).longestWaitMs).toBeLessThan(100);
      expect(direction(atB, 'a').state).toBe('resyncing');
      await reader.query('COMMIT');
    });
    await untilStreaming(atB);
  });

  test('rule 17 a slot over budget is dropped with its reason, and its direction resynchronises by itself', async () => {
    await atB.replicator.stop();
    await atA.replicator.stop();
    atA = startReplicator(a, { b: b.peer }, { slotBudgetBytes: 1_048_576 });
    await query(
      a.owner,
      `SELECT pg_logical_emit_message(false, 'x', repeat('y', 1000000)) FROM generate_series(1, 3)`,
    );
    await waitFor(
      async () =>
        (await query(a.owner, `SELECT FROM pg_replication_slots WHERE slot_name = 'lastcall_b'`)).length ===
        0,
    );
    await atA.replicator.stop();
    atA = startReplicator(a, { b: b.peer });
    await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (41, '1')`);
    atB = startReplicator(b, { a: a.peer });
    await untilStreaming(atB);
    expect(atB.states).toContain('needs-resync slot-over-budget');
    await expectCopiesEqualOrigins([a, b]);
  });
});
