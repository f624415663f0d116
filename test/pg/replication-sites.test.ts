import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectCopiesEqualOrigins, expectSameFreshest } from '../support/invariants.ts';
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

const servers: PostgresServer[] = [];
const running: RunningReplicator[] = [];
let a: SiteDatabase;
let b: SiteDatabase;
let c: SiteDatabase;

/** Site a on PostgreSQL 15, the others on 18: sites are upgraded one after the other. */
beforeAll(async () => {
  servers.push(...(await Promise.all([startSystemPostgres(), startPostgres(), startPostgres()])));
  const [first, second, third] = servers as [PostgresServer, PostgresServer, PostgresServer];
  a = await makeSite('a', ['b'], siteOf(first));
  b = await makeSite('b', ['a'], siteOf(second));
  c = await makeSite('c', ['a', 'b'], siteOf(third));
});

afterAll(async () => {
  await Promise.all(running.map(({ replicator }) => replicator.stop()));
  await Promise.all(servers.map((server) => server.remove()));
});

test('a third site joins while the others run, and a mark of one reaches the rows of another at the third', async () => {
  const atA = startReplicator(a, { b: b.replicator });
  const atB = startReplicator(b, { a: a.replicator });
  running.push(atA, atB);
  await query(
    a.app,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) SELECT i, i FROM generate_series(1, 100) i`,
  );
  await Promise.all([untilStreaming(atA), untilStreaming(atB)]);
  const before = [...atA.states, ...atB.states];

  for (const site of [a, b]) await query(site.owner, `SELECT lastcall.add_site('c')`);
  const atC = startReplicator(c, { a: a.replicator, b: b.replicator });
  running.push(atC);
  atA.replicator.setPeers({ b: b.replicator, c: c.replicator });
  atB.replicator.setPeers({ a: a.replicator, c: c.replicator });
  await Promise.all(running.map((one) => untilStreaming(one)));
  expect([...atA.states, ...atB.states].filter((state) => state.startsWith('stopped'))).toEqual(
    before.filter((state) => state.startsWith('stopped')),
  );

  await query(c.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (501, '1')`);
  await query(
    a.app,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_received_call) VALUES (502, '1', '2')`,
  );
  await expectCopiesEqualOrigins([a, b, c]);
  // c's mark clears a group at a; b may hear of the clearing from a before it hears of the mark from c.
  await query(c.app, `SELECT lastcall.forget(502, 'received')`);
  await query(b.app, 'DELETE FROM lastcall.lastcalls WHERE terminal_id = 501');
  await waitFor(
    async () =>
      (await query(c.owner, 'SELECT FROM lastcall.lastcalls_c WHERE terminal_id = 501')).length === 0,
  );
  await waitFor(
    async () =>
      (
        await query(
          a.owner,
          'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = 502 AND last_received_date IS NULL',
        )
      ).length === 1,
  );
  await expectCopiesEqualOrigins([a, b, c]);
  await expectSameFreshest([a, b, c]);
});

test('a list of hosts finds the one that can be written', async () => {
  const dead = 'postgres://lastcall_replicator:lastcall-test@127.0.0.1:1,';
  const [atA] = running;
  const listed = b.replicator.replace(/postgres:\/\/[^@]*@/, dead);
  atA?.replicator.setPeers({ b: listed, c: c.replicator });
  await waitFor(() => atA?.replicator.directions.find(({ from }) => from === 'b')?.state === 'streaming');
  await query(b.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES (503, '1')`);
  await expectCopiesEqualOrigins([a, b, c]);
});
