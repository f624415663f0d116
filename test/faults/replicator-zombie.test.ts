import { afterEach, beforeEach, expect, test } from 'vitest';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
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
import { type HaSite, promote, startHaSite, untilReplayed } from './ha-site.ts';

let a: HaSite;
let serverB: PostgresServer;
let b: SiteDatabase;
let running: RunningReplicator[] = [];

beforeEach(async () => {
  [a, serverB] = await Promise.all([startHaSite('a', ['b']), startSystemPostgres()]);
  b = await makeSite('b', ['a'], siteOf(serverB));
  running = [startReplicator(a.database, { b: b.peer }), startReplicator(b, { a: a.database.peer })];
  await Promise.all(running.map((one) => untilStreaming(one)));
});

afterEach(async () => {
  old().resume();
  await Promise.all(running.splice(0).map(({ replicator }) => replicator.stop()));
  await Promise.all([a.remove(), serverB.remove()]);
});

const old = () => a.servers[0] as PostgresServer;
const promoted = () => a.servers[1] as PostgresServer;
const atPromoted = (): SiteDatabase => ({ ...a.database, owner: promoted().url() });
const dial = (url: string, id: number) =>
  query(
    url,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, 'x', clock_timestamp())`,
    [id],
  );
const isThere = async (url: string, site: string, id: number) =>
  (await query(url, `SELECT FROM lastcall.lastcalls_${site} WHERE terminal_id = $1`, [id])).length === 1;
/** How far the subscribers of that server have confirmed its changes. */
const slotsAt = (server: PostgresServer) =>
  query(server.url(), 'SELECT slot_name, confirmed_flush_lsn FROM pg_replication_slots ORDER BY slot_name');

/** Both directions carry rows of, and to, the promoted server. */
async function expectFollowed(first: number): Promise<void> {
  await dial(promoted().url(), first);
  await dial(b.owner, first + 1);
  await waitFor(() => isThere(b.owner, 'a', first), {
    what: "the promoted server's row at b",
    deadlineMs: 60_000,
  });
  await waitFor(() => isThere(promoted().url(), 'b', first + 1), {
    what: "b's row at the promoted server",
    deadlineMs: 60_000,
  });
  await expectCopiesEqualOrigins([atPromoted(), b]);
}

/** Sessions may come to the old server to look who answers, and go: none reads its changes or writes a row. */
async function expectForsaken(first: number): Promise<void> {
  const slots = await slotsAt(old());
  await dial(old().url(), first);
  await expectFollowed(first + 1);
  expect(await slotsAt(old())).toEqual(slots);
  expect(await isThere(b.owner, 'a', first)).toBe(false);
  expect(await isThere(old().url(), 'b', first + 2)).toBe(false);
}

test('rule 28 a replicator follows a promotion within seconds though the old primary still answers, at either end', async () => {
  await untilReplayed(old(), promoted());
  await promote(promoted());
  await expectFollowed(1);
  await expectForsaken(3);
});

test('rule 28 an old primary that was frozen and wakes gets no replicator back, and its slot holds up nothing', async () => {
  await untilReplayed(old(), promoted());
  old().pause();
  await promote(promoted());
  await expectFollowed(1);
  old().resume();
  await waitFor(async () => (await query(old().url(), 'SELECT 1')).length === 1, {
    what: 'the old one to answer',
  });
  const before = running.map(({ states }) => states.length);
  // Everything is lost at once, and the old one is the first that answers.
  await promoted().stop('immediate');
  await waitFor(
    () =>
      running.every(({ states }, index) =>
        states.slice(before[index]).some((state) => state.startsWith('stopped left-behind')),
      ),
    {
      what: 'the refusal of the old primary',
    },
  );
  await promoted().start();
  await expectFollowed(3);
  await expectForsaken(5);
  for (const [index, { states }] of running.entries())
    expect(states.slice(before[index]).filter((state) => state.includes('resync'))).toEqual([]);
});
