import { afterEach, expect, test } from 'vitest';
import { elapsedMs } from '../support/elapsed.ts';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
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
import { TcpRelay } from '../support/tcp-relay.ts';
import { waitFor } from '../support/wait-for.ts';

const servers: PostgresServer[] = [];
const running: RunningReplicator[] = [];
const relays: TcpRelay[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map(({ replicator }) => replicator.stop()));
  await Promise.all(relays.splice(0).map((relay) => relay.close()));
  await Promise.all(servers.splice(0).map((server) => server.remove()));
});

/** The worst link that was tried, ten times as fast, and so the time-outs: 5 s to connect, 20 s of silence. */
const STORM = { delayMs: 500, jitterMs: 100, lossShare: 0.25, retransmissionMs: 1_000 };
const TENTH = { connect: '?connect_timeout=0.5', silenceLimitMs: 2_000 };

test('rule 10 at ten times the delay that its time-outs were made for a direction streams all the same, and is equal once the link is sound', async () => {
  servers.push(...(await Promise.all([startPostgres(), startPostgres()])));
  const [first, second] = servers as [PostgresServer, PostgresServer];
  const a: SiteDatabase = await makeSite('a', ['b'], siteOf(first));
  const b: SiteDatabase = await makeSite('b', ['a'], siteOf(second));
  const link = await TcpRelay.open(first.port);
  relays.push(link);
  const atB = startReplicator(
    b,
    { a: `${link.url(a.peer)}${TENTH.connect}` },
    { silenceLimitMs: TENTH.silenceLimitMs, coordinatorGraceMs: 0 },
  );
  running.push(atB);
  await untilStreaming(atB);
  link.cut();
  await waitFor(() => atB.states.at(-1) === 'stopped peer-unreachable', { what: 'the loss to be noticed' });
  link.heal();
  link.slow(STORM);
  await untilStreaming(atB, 90_000);
  const brokenOff = () => atB.states.filter((state) => state === 'stopped peer-unreachable').length;
  const before = brokenOff();
  for (let id = 1; id <= 8; id++) {
    await query(a.app, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES ($1, 'x')`, [
      id,
    ]);
    await waitFor(
      async () =>
        (await query(b.owner, 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = $1', [id])).length === 1,
      { what: `row ${id} to pass the storm`, deadlineMs: 60_000, everyMs: 100 },
    );
  }
  expect(brokenOff(), 'the direction was given up').toBe(before);
  link.heal();
  await expectCopiesEqualOrigins([a, b]);
});

test('rule 10 a link that died without a word and came back is used again within seconds', async () => {
  servers.push(...(await Promise.all([startPostgres(), startPostgres()])));
  const [first, second] = servers as [PostgresServer, PostgresServer];
  const a: SiteDatabase = await makeSite('a', ['b'], siteOf(first));
  const b: SiteDatabase = await makeSite('b', ['a'], siteOf(second));
  const link = await TcpRelay.open(first.port);
  relays.push(link);
  const atB = startReplicator(
    b,
    { a: `${link.url(a.peer)}${TENTH.connect}` },
    { silenceLimitMs: TENTH.silenceLimitMs },
  );
  running.push(atB);
  await untilStreaming(atB);
  link.silence();
  await waitFor(() => atB.states.at(-1) === 'stopped peer-unreachable', { what: 'the loss to be noticed' });
  // Longer than an attempt lives, so that several are under way.
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  link.heal();
  expect(await elapsedMs(() => untilStreaming(atB))).toBeLessThan(4_000);
});
