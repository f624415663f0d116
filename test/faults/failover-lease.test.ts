import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { attemptFailover } from '../../services/coordinator/flow.ts';
import type { FailoverRow } from '../../services/coordinator/ledger.ts';
import { FailoverRunner } from '../../services/coordinator/runner.ts';
import type { StepBoundary } from '../../services/coordinator/steps.ts';
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
import { TcpRelay } from '../support/tcp-relay.ts';
import { flowOptions } from './ha-site.ts';

let servers: PostgresServer[];
let relays: TcpRelay[];
let a: SiteDatabase;
let b: SiteDatabase;
let replicators: RunningReplicator[];
/** The coordinator that will be cut off, and the one that takes over. */
let doomed: Awaited<ReturnType<typeof flowOptions>>;
let other: Awaited<ReturnType<typeof flowOptions>>;

beforeAll(async () => {
  const started = await Promise.all([startSystemPostgres(), startPostgres()]);
  servers = started;
  const [serverA, serverB] = started;
  [a, b] = await Promise.all([makeSite('a', ['b'], siteOf(serverA)), makeSite('b', ['a'], siteOf(serverB))]);
  relays = await Promise.all(started.map(({ port }) => TcpRelay.open(port)));
  replicators = [startReplicator(a, { b: b.replicator }), startReplicator(b, { a: a.replicator })];
  await Promise.all(replicators.map((running) => untilStreaming(running)));
  const led = [a, b].map((site, index) => ({
    ...site,
    coordinator: (relays[index] as TcpRelay).url(site.coordinator),
  }));
  doomed = await flowOptions(led, led[1] as SiteDatabase);
  other = await flowOptions([a, b], b);
  await query(
    a.owner,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) SELECT id, '1' FROM generate_series(1, 500) id`,
  );
});

afterEach(() => {
  for (const relay of relays) relay.heal();
});

afterAll(async () => {
  await Promise.all([doomed, other].map((options) => options?.database.close()));
  await Promise.all((replicators ?? []).map(({ replicator }) => replicator.stop()));
  await Promise.all((relays ?? []).map((relay) => relay.close()));
  await Promise.all((servers ?? []).map((server) => server.remove()));
});

/** What must not move any more once the flow has ended. */
async function standing(): Promise<unknown> {
  const owned = ({ owner }: SiteDatabase) =>
    query(
      owner,
      `SELECT o.peer, o.epoch, p.generation, c.fenced_by FROM lastcall.replication_owner o
       JOIN lastcall.replication_position p USING (peer) LEFT JOIN lastcall.replication_control c USING (peer) ORDER BY 1`,
    );
  const written = query(
    b.owner,
    `SELECT f.state, f.error, s.direction, s.step, s.state AS step_state, s.attempts, s.ended_at::text
     FROM lastcall.failovers f JOIN lastcall.failover_steps s ON s.failover = f.id ORDER BY s.position, s.direction, f.requested_at`,
  );
  return Promise.all([owned(a), owned(b), written]);
}

test.each<readonly [string, string]>([
  ['a<>b', 'fence'],
  ['a>b', 'slot'],
  ['a>b', 'swap'],
])(
  'rule 32 cut off after %s %s its holder loses the lease within seconds, and changes nothing when it is back',
  async (direction, step) => {
    const id = randomUUID();
    await other.ledger.insert({ id, site: 'a', reason: 'restored', requestedBy: 'test' });
    let comeBack: () => void = () => undefined;
    const cutOff = new Promise<void>((reached) => {
      const onBoundary = async (boundary: StepBoundary): Promise<void> => {
        if (boundary.direction !== direction || boundary.step !== step || boundary.at !== 'unrecorded')
          return;
        for (const relay of relays) relay.silence();
        reached();
        await new Promise<void>((resolve) => {
          comeBack = resolve;
        });
      };
      void doomed.ledger
        .find(id)
        .then((row) =>
          attemptFailover(row as FailoverRow, { ...doomed, onBoundary }, new AbortController().signal),
        )
        .then(
          () => ends.push('ended as if it were alone'),
          () => ends.push('gave up'),
        );
    });
    const ends: string[] = [];
    await cutOff;
    const startedAt = performance.now();
    await new FailoverRunner(other).work(id);
    expect(performance.now() - startedAt, 'the lease, and the flow after it').toBeLessThan(20_000);
    expect(await query(b.owner, 'SELECT state, error FROM lastcall.failovers WHERE id = $1', [id])).toEqual([
      { state: 'done', error: null },
    ]);
    await Promise.all(replicators.map((running) => untilStreaming(running)));
    const before = await standing();

    for (const relay of relays) relay.heal();
    comeBack();
    await expect.poll(() => ends, { timeout: 20_000 }).toEqual(['gave up']);
    expect(await standing()).toEqual(before);
    expect(replicators.flatMap(({ replicator }) => replicator.directions.map(({ state }) => state))).toEqual([
      'streaming',
      'streaming',
    ]);
    await expectCopiesEqualOrigins([a, b]);
  },
  60_000,
);
