import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attemptFailover } from '../../services/coordinator/flow.ts';
import { type FailoverRow, Ledger } from '../../services/coordinator/ledger.ts';
import { FailoverRunner } from '../../services/coordinator/runner.ts';
import type { StepBoundary } from '../../services/coordinator/steps.ts';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
import { markSql } from '../support/marks.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  siteOf,
  startReplicator,
  untilStreaming,
} from '../support/replication-pair.ts';
import { flowOptions } from './ha-site.ts';

const STEPS: readonly (readonly [string, string])[] = [
  ['a<>b', 'check'],
  ['a<>b', 'fence'],
  ['b>a', 'salvage-marks'],
  ['b>a', 'salvage-rows'],
  ['a>b', 'slot'],
  ['a>b', 'copy'],
  ['a>b', 'swap'],
  ['a>b', 'stream'],
  ['b>a', 'slot'],
  ['b>a', 'copy'],
  ['b>a', 'swap'],
  ['b>a', 'stream'],
  ['a>b', 'barrier'],
  ['b>a', 'barrier'],
  ['a<>b', 'compare'],
];
/** The begin of a step is the end of the one before, but where the servers themselves are between two states. */
const BOUNDARIES = (step: string): readonly StepBoundary['at'][] =>
  ['copy', 'swap', 'stream'].includes(step) ? ['begun', 'unrecorded'] : ['unrecorded'];
const ROWS = 20;

let servers: PostgresServer[];
let a: SiteDatabase;
let b: SiteDatabase;
let replicators: RunningReplicator[];
let options: Awaited<ReturnType<typeof flowOptions>>;

beforeAll(async () => {
  servers = await Promise.all([startPostgres(), startPostgres()]);
  const [serverA, serverB] = servers as [PostgresServer, PostgresServer];
  [a, b] = await Promise.all([makeSite('a', ['b'], siteOf(serverA)), makeSite('b', ['a'], siteOf(serverB))]);
  replicators = [startReplicator(a, { b: b.replicator }), startReplicator(b, { a: a.replicator })];
  await Promise.all(replicators.map((running) => untilStreaming(running)));
  options = await flowOptions([a, b], b);
  for (const { owner } of [a, b]) {
    await query(
      owner,
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date)
       SELECT id, '1', clock_timestamp() FROM generate_series(1, 500) id`,
    );
  }
  await expectCopiesEqualOrigins([a, b]);
});

afterAll(async () => {
  await options.database.close();
  await Promise.all(replicators.map(({ replicator }) => replicator.stop()));
  await Promise.all(servers.map((server) => server.remove()));
});

/** A coordinator that ends at one boundary as SIGKILL ends it: it writes nothing more. */
async function runUntilKilled(
  row: FailoverRow,
  direction: string,
  step: string,
  at: StepBoundary['at'],
): Promise<void> {
  let killed = false;
  const ledger = new Ledger({
    query: (...parameters) =>
      killed ? Promise.reject(new Error('killed')) : options.database.query(...parameters),
  });
  const onBoundary = (boundary: StepBoundary): void => {
    if (boundary.direction !== direction || boundary.step !== step || boundary.at !== at) return;
    killed = true;
    throw new Error('killed');
  };
  const attempt = attemptFailover(row, { ...options, ledger, onBoundary }, new AbortController().signal);
  await expect(attempt).rejects.toThrow('killed');
  expect(killed, `the flow reached ${direction} ${step}`).toBe(true);
}

/** What a promotion of a's standby would leave: rows and a mark of site a that only site b holds. */
async function loseAtA(call: string): Promise<void> {
  await query(
    b.owner,
    `INSERT INTO lastcall.lastcalls_a (terminal_id, last_dialed_call, last_dialed_date)
       SELECT id, $1, clock_timestamp() FROM generate_series(101, 100 + $2::int) id
     ON CONFLICT (terminal_id) DO UPDATE SET last_dialed_call = excluded.last_dialed_call, last_dialed_date = excluded.last_dialed_date`,
    [call, ROWS],
  );
  await query(b.owner, markSql('a'), [101, 'all', 'now']);
}

test.each(STEPS.flatMap(([direction, step]) => BOUNDARIES(step).map((at) => [direction, step, at] as const)))(
  'rule 26 killed in %s %s (%s) the flow ends the same',
  async (direction, step, at) => {
    const call = `${direction} ${step} ${at}`;
    await loseAtA(call);
    const id = randomUUID();
    await options.ledger.insert({ id, site: 'a', reason: 'restored', requestedBy: 'test' });
    await runUntilKilled((await options.ledger.find(id)) as FailoverRow, direction, step, at);

    await new FailoverRunner(options).work(id);
    const [report] = await query(
      b.owner,
      'SELECT state, error, salvaged_rows::int FROM lastcall.failovers WHERE id = $1',
      [id],
    );
    expect(report).toEqual({ state: 'done', error: null, salvaged_rows: ROWS - 1 });
    await expectCopiesEqualOrigins([a, b]);
    for (const { owner } of [a, b]) {
      const rows = await query(owner, 'SELECT FROM lastcall.lastcalls_freshest WHERE last_dialed_call = $1', [
        call,
      ]);
      expect(rows).toHaveLength(ROWS - 1);
      const fences = await query(
        owner,
        'SELECT FROM lastcall.replication_control WHERE fenced_by IS NOT NULL',
      );
      expect(fences).toEqual([]);
    }
  },
);
