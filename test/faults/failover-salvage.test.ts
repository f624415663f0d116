import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FailoverRunner } from '../../services/coordinator/runner.ts';
import { expectCopiesEqualOrigins, expectSameFreshest } from '../support/invariants.ts';
import type { PostgresServer } from '../support/postgres.ts';
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
import { flowOptions, freezeStandby, type HaSite, promote, startHaSite, untilReplayed } from './ha-site.ts';

const LOST_ROWS = 300;
let a: HaSite;
let serverB: PostgresServer;
let b: SiteDatabase;
let replicators: RunningReplicator[];

beforeAll(async () => {
  [a, serverB] = await Promise.all([startHaSite('a', ['b']), startSystemPostgres()]);
  b = await makeSite('b', ['a'], siteOf(serverB));
  // The coordinator must win the race for the resynchronisation every time.
  const settings = { coordinatorGraceMs: 60_000 };
  replicators = [
    startReplicator(a.database, { b: b.replicator }, settings),
    startReplicator(b, { a: a.database.replicator }, settings),
  ];
  await Promise.all(replicators.map((running) => untilStreaming(running)));
});

afterAll(async () => {
  await Promise.all(replicators.map(({ replicator }) => replicator.stop()));
  await Promise.all([a.remove(), serverB.remove()]);
});

const dial = (url: string, first: number, last: number, number: string) =>
  query(
    url,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date)
     SELECT id, $3, clock_timestamp() FROM generate_series($1::int, $2::int) id`,
    [first, last, number],
  );

test('rule 21 rows and marks that only the peer still holds are back after a failover, and the report counts them', async () => {
  const [primary, standby] = a.servers as [PostgresServer, PostgresServer];
  await dial(primary.url(), 1, 1000, '100');
  await dial(b.owner, 1, 1000, '200');
  await query(primary.url(), 'SELECT lastcall.forget(5)');
  await expectCopiesEqualOrigins([{ ...a.database, owner: primary.url() }, b]);
  await untilReplayed(primary, standby);
  await freezeStandby(standby);

  await dial(primary.url(), 11, 10 + LOST_ROWS, '111');
  await query(primary.url(), `SELECT lastcall.forget(id) FROM generate_series(11, 20) id`);
  await query(b.owner, 'SELECT lastcall.forget(30)');
  await expectCopiesEqualOrigins([{ ...a.database, owner: primary.url() }, b]);
  await primary.kill();
  await promote(standby);
  const atA = { ...a.database, owner: standby.url() };
  expect(
    await query(standby.url(), `SELECT FROM lastcall.lastcalls_a WHERE last_dialed_call = '111'`),
  ).toHaveLength(0);

  const options = await flowOptions([a.database, b], b);
  const runner = new FailoverRunner(options);
  const id = randomUUID();
  await options.ledger.insert({ id, site: 'a', reason: 'test', requestedBy: 'test' });
  const startedAt = performance.now();
  await runner.work(id);
  expect(performance.now() - startedAt).toBeLessThan(15_000);

  const [report] = await query(
    b.owner,
    'SELECT state, error, salvaged_rows, salvaged_marks FROM lastcall.failovers WHERE id = $1',
    [id],
  );
  const steps = await query(
    b.owner,
    'SELECT direction, step, state, detail FROM lastcall.failover_steps WHERE failover = $1 ORDER BY position',
    [id],
  );
  expect(report, JSON.stringify(steps)).toMatchObject({ state: 'done', error: null });
  // Ten of the rows were forgotten with marks of site a, one with a mark of site b.
  expect(Number(report?.['salvaged_rows'])).toBe(LOST_ROWS - 11);
  expect(Number(report?.['salvaged_marks'])).toBe(10);
  expect(steps.filter(({ state }) => state === 'failed')).toEqual([]);

  await waitFor(() =>
    replicators.every(({ replicator }) => replicator.directions.every(({ state }) => state === 'streaming')),
  );
  await expectCopiesEqualOrigins([atA, b]);
  await expectSameFreshest([atA, b]);
  const back = await query<{ count: number }>(
    standby.url(),
    `SELECT count(*)::int AS count FROM lastcall.lastcalls_freshest WHERE last_dialed_call = '111'`,
  );
  expect(back[0]?.count).toBe(LOST_ROWS - 11);
  const forgotten = await query(
    b.owner,
    'SELECT terminal_id FROM lastcall.lastcalls_freshest WHERE terminal_id = ANY($1)',
    [[5, 11, 15, 20, 30]],
  );
  expect(forgotten).toEqual([]);
  await options.database.close();
});
