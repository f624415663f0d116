import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
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

const run = promisify(execFile);
const servers: PostgresServer[] = [];
const running: RunningReplicator[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map(({ replicator }) => replicator.stop()));
  await Promise.all(servers.splice(0).map((server) => server.remove()));
});

type Start = (options?: Parameters<typeof startPostgres>[0]) => Promise<PostgresServer>;

/** A streaming standby: the primary's files, copied while it is stopped. */
async function addStandby(
  primary: PostgresServer,
  start: Start,
  settings: Record<string, string>,
): Promise<PostgresServer> {
  const dataDir = `${primary.dataDir}-standby`;
  await primary.stop('fast');
  await rm(dataDir, { recursive: true, force: true });
  await run('cp', ['-a', primary.dataDir, dataDir]);
  await primary.start();
  await writeFile(join(dataDir, 'standby.signal'), '');
  const from = new URL(primary.url());
  const standby = await start({
    dataDir,
    settings: {
      hot_standby: 'on',
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres password=${from.password} dbname=postgres`,
      ...settings,
    },
  });
  servers.push(standby);
  return standby;
}

/** Both hosts in one URL, as a site that fails over is configured. */
const both = (url: string, primary: PostgresServer, standby: PostgresServer): string =>
  url.replace(`127.0.0.1:${primary.port}`, `127.0.0.1:${primary.port},127.0.0.1:${standby.port}`);

async function write(url: string, ids: readonly number[]): Promise<void> {
  for (const id of ids)
    await query(url, `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES ($1, 'x')`, [id]);
}

async function makePair(
  start: Start,
): Promise<{ primary: PostgresServer; a: SiteDatabase; b: SiteDatabase }> {
  const [primary, subscriber] = await Promise.all([start(), startPostgres()]);
  servers.push(primary, subscriber);
  return {
    primary,
    a: await makeSite('a', ['b'], siteOf(primary)),
    b: await makeSite('b', ['a'], siteOf(subscriber)),
  };
}

const isThere = async (url: string, id: number): Promise<boolean> =>
  (await query(url, 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = $1', [id])).length === 1;

/** Beats of a site without a replicator of its own. */
async function beat(site: SiteDatabase): Promise<void> {
  await query(site.replicator, 'SELECT lastcall.beat()');
}

test('rule 1 a position ahead of the new primary is detected and never streamed, and rows that only the copy holds are not swapped away (I4)', async () => {
  const { primary, a, b } = await makePair(startSystemPostgres);
  const standby = await addStandby(primary, startSystemPostgres, {});
  const atB = startReplicator(b, { a: both(a.replicator, primary, standby) });
  running.push(atB);
  await write(a.app, [1, 2, 3]);
  await waitFor(() => isThere(b.owner, 3));
  await waitFor(() => isThere(standby.url(), 3));

  // The standby falls behind; b applies what it will never have.
  await standby.stop('fast');
  await write(a.app, [4, 5, 6]);
  await waitFor(() => isThere(b.owner, 6));
  const before = atB.states.length;
  await primary.kill();
  await standby.start();
  const promoted: SiteDatabase = await promote(standby, a);
  // The new primary's log grows past the stored position: from here on a plain stream would leave out row 7.
  await write(promoted.app, [7]);
  await query(
    standby.url(),
    `SELECT pg_logical_emit_message(true, 'x', repeat('y', 1000000)) FROM generate_series(1, 3)`,
  );

  await waitFor(() => atB.states.slice(before).includes('needs-resync rows-only-here'), {
    deadlineMs: 60_000,
  });
  expect(atB.states.slice(before)).toContain('needs-resync position-ahead');
  expect(atB.states.slice(before).filter((state) => /streaming|catching-up/.test(state))).toEqual([]);
  expect(await isThere(b.owner, 6)).toBe(true);
  // Nothing holds WAL at the new primary while it waits.
  expect(await query(standby.url(), 'SELECT slot_name FROM pg_replication_slots')).toEqual([]);

  // Salvaged, by hand here: then the copy is made anew and both agree.
  await write(promoted.app, [4, 5, 6]);
  await query(
    b.app,
    `INSERT INTO lastcall.replication_control (peer, resync_requested_at) VALUES ('a', clock_timestamp()) ON CONFLICT (peer) DO UPDATE SET resync_requested_at = clock_timestamp()`,
  );
  await expectCopiesEqualOrigins([promoted, b], 20_000);
});

test('rule 18 a synchronised failover slot survives the promotion: the stream goes on, without a resync', async () => {
  const { primary, a, b } = await makePair((options) => startPostgres(options));
  await query(primary.url(), `SELECT pg_create_physical_replication_slot('standby')`);
  const standby = await addStandby(primary, (options) => startPostgres(options), {
    primary_slot_name: 'standby',
    hot_standby_feedback: 'on',
    sync_replication_slots: 'on',
  });
  const atB = startReplicator(b, { a: both(a.replicator, primary, standby) });
  running.push(atB);
  const beats = setInterval(() => void beat(a).catch(() => undefined), 100);
  try {
    await untilStreaming(atB);
    await waitFor(
      async () => {
        // Without it the primary's slot, and so its copy, would only move every 15 s.
        await query(primary.url(), 'SELECT pg_log_standby_snapshot()');
        const synced = `SELECT FROM pg_replication_slots WHERE slot_name = 'lastcall_b' AND synced AND NOT temporary`;
        return (await query(standby.url(), synced)).length === 1;
      },
      { what: 'the slot to be synchronised', deadlineMs: 60_000, everyMs: 200 },
    );
    await write(a.app, [1, 2, 3]);
    await waitFor(() => isThere(b.owner, 3));
  } finally {
    clearInterval(beats);
  }
  await waitFor(async () => {
    const [here] = await query(primary.url(), 'SELECT pg_current_wal_flush_lsn()::text AS lsn');
    const [there] = await query(standby.url(), `SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS reached`, [
      here?.['lsn'],
    ]);
    return there?.['reached'] === true;
  });
  const before = atB.states.length;
  await primary.kill();
  const promoted = await promote(standby, a);
  await write(promoted.app, [4]);
  await waitFor(() => isThere(b.owner, 4), { deadlineMs: 60_000 });
  expect(atB.states.slice(before).filter((state) => /^(resyncing|needs)/.test(state))).toEqual([]);
  // The new timeline is the position's from now on: a worker started later streams as well.
  await atB.replicator.stop();
  const later = startReplicator(b, { a: both(a.replicator, primary, standby) });
  running.push(later);
  await write(promoted.app, [5]);
  await waitFor(() => isThere(b.owner, 5), { deadlineMs: 60_000 });
  expect(later.states.filter((state) => /^(resyncing|needs)/.test(state))).toEqual([]);
  await expectCopiesEqualOrigins([promoted, b]);
});

async function promote(standby: PostgresServer, site: SiteDatabase): Promise<SiteDatabase> {
  await query(standby.url(), 'SELECT pg_promote(true, 30)');
  await waitFor(
    async () =>
      (await query(standby.url(), 'SELECT FROM pg_settings WHERE NOT pg_is_in_recovery() LIMIT 1')).length ===
      1,
  );
  const moved = (url: string): string => url.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${standby.port}`);
  return {
    site: site.site,
    owner: moved(site.owner),
    app: moved(site.app),
    replicator: moved(site.replicator),
    coordinator: moved(site.coordinator),
    peer: moved(site.peer),
  };
}
