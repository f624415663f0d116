import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  siteOf,
  startReplicator,
  startSystemPostgres,
  untilStreaming,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const BUDGET_BYTES = 4 * 1024 ** 2;

let servers: PostgresServer[];
let a: SiteDatabase;
let b: SiteDatabase;
let atA: RunningReplicator;
let atB: RunningReplicator;
let holder: pg.Client;

/** Site a on PostgreSQL 15, its subscriber on 18; a guards the slot that b holds there. */
beforeAll(async () => {
  const started = await Promise.all([startSystemPostgres(), startPostgres()]);
  servers = started;
  const [serverA, serverB] = started;
  [a, b] = await Promise.all([makeSite('a', ['b'], siteOf(serverA)), makeSite('b', ['a'], siteOf(serverB))]);
  atA = startReplicator(a, { b: b.replicator }, { slotBudgetBytes: BUDGET_BYTES });
  atB = startReplicator(b, { a: a.replicator }, { slotLockTimeoutMs: 500 });
  await Promise.all([untilStreaming(atA), untilStreaming(atB)]);
});

afterAll(async () => {
  await Promise.all([atA, atB].map((running) => running?.replicator.stop()));
  await Promise.all((servers ?? []).map((server) => server.remove()));
});

/** A report of somebody's, which has written and was never committed. */
beforeEach(async () => {
  holder = new pg.Client({ connectionString: a.owner, application_name: 'nightly-report' });
  await holder.connect();
  await holder.query(`BEGIN; SELECT pg_logical_emit_message(true, 'report', 'begun')`);
});

afterEach(() => holder.end());

async function slotOfB(): Promise<{ retained: number; active: boolean } | undefined> {
  const [slot] = await query<{ retained: number; active: boolean }>(
    a.owner,
    `SELECT (pg_current_wal_lsn() - restart_lsn)::float8 AS retained, active
     FROM pg_replication_slots WHERE slot_name = 'lastcall_b'`,
  );
  return slot;
}

test('rule 33 an open transaction at the publisher costs no healthy slot, however much WAL it pins', async () => {
  const before = atB.states.length;
  for (let round = 1; round <= 12; round++) {
    await query(a.owner, `SELECT pg_logical_emit_message(false, 'x', repeat('y', 1000000))`);
    await query(a.app, 'INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES ($1, $2)', [
      round,
      'x',
    ]);
  }
  await query(a.owner, 'CHECKPOINT');
  await expectCopiesEqualOrigins([a, b]);
  // Longer than two looks of the guard, by the server's clock.
  await query(a.owner, 'SELECT pg_sleep(2.5)');
  const slot = await slotOfB();
  expect(slot?.retained, 'the transaction pins more than the budget').toBeGreaterThan(BUDGET_BYTES);
  expect(slot?.active).toBe(true);
  expect(atB.states.slice(before).filter((state) => state.startsWith('needs-resync'))).toEqual([]);
  expect(await query(a.owner, 'SELECT FROM lastcall.replication_dropped_slot')).toEqual([]);
});

test('rule 33 a resynchronisation that cannot make its slot keeps the old one and names the session', async () => {
  await query(
    b.owner,
    `INSERT INTO lastcall.replication_control (peer, resync_requested_at, resync_reason) VALUES ('a', clock_timestamp(), 'operator')
     ON CONFLICT (peer) DO UPDATE SET resync_requested_at = excluded.resync_requested_at`,
  );
  await waitFor(() => atB.states.includes('stopped old-transaction'), {
    what: 'the reason to be told',
    deadlineMs: 60_000,
  });
  const [direction] = atB.replicator.directions;
  expect(direction?.detail).toContain('nightly-report');
  const [{ pid }] = (await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows as [
    { pid: number },
  ];
  expect(direction?.detail).toContain(`pg_terminate_backend(${pid})`);
  expect(await slotOfB(), 'the old slot still keeps its WAL').toBeDefined();

  await holder.query('COMMIT');
  await waitFor(
    async () =>
      (await query(b.owner, 'SELECT FROM lastcall.replication_control WHERE resync_requested_at IS NOT NULL'))
        .length === 0,
    { what: 'the resynchronisation to end', deadlineMs: 60_000 },
  );
  await expectCopiesEqualOrigins([a, b]);
  const slots = await query<{ name: string }>(
    a.owner,
    'SELECT slot_name AS name FROM pg_replication_slots ORDER BY 1',
  );
  expect(slots.map(({ name }) => name)).toEqual(['lastcall_b']);
});
