import { execFile } from 'node:child_process';
import { rename, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { POSTGRES, startVersion } from '../pg/site-databases.ts';
import { expectCopiesEqualOrigins } from '../support/invariants.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import {
  makeSite,
  query,
  type RunningReplicator,
  type SiteDatabase,
  siteOf,
  startReplicator,
  untilStreaming,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import { type RunningCoordinator, startCoordinator, untilFailoversDone } from './coordinated-sites.ts';

const run = promisify(execFile);
let servers: PostgresServer[] = [];
const replicators: RunningReplicator[] = [];
let coordinators: RunningCoordinator[] = [];
let redisServer: RedisServer;
let redis: RedisConnection;

afterEach(async () => {
  await Promise.all(coordinators.splice(0).map(({ coordinator }) => coordinator.stop()));
  await Promise.all(replicators.splice(0).map(({ replicator }) => replicator.stop()));
  await redis?.close();
  await Promise.all([...servers.splice(0), redisServer].map((server) => server?.remove()));
});

const follow = (site: SiteDatabase, peer: SiteDatabase): RunningReplicator => {
  const running = startReplicator(site, { [peer.site]: peer.peer }, { coordinatorGraceMs: 60_000 });
  replicators.push(running);
  return running;
};
const stopAll = async (): Promise<void> => {
  await Promise.all(replicators.splice(0).map(({ replicator }) => replicator.stop()));
};
const dial = (site: SiteDatabase, id: number, number: string) =>
  query(
    site.owner,
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, $2, clock_timestamp())`,
    [id, number],
  );
const dialedOf = async (site: SiteDatabase, id: number) =>
  (
    await query<{ n: string | null }>(
      site.owner,
      `SELECT last_dialed_call AS n FROM lastcall.lastcalls_freshest WHERE terminal_id = $1`,
      [id],
    )
  )[0]?.n ?? null;
const provisioned = async (site: SiteDatabase, id: number) =>
  (await query(site.owner, 'SELECT FROM lastcall.terminals WHERE terminal_id = $1', [id])).length === 1;
const currentLsn = async (site: SiteDatabase) =>
  BigInt(
    (await query<{ n: string }>(site.owner, `SELECT (pg_current_wal_lsn() - '0/0')::text AS n`))[0]?.n ?? 0,
  );

test.each(POSTGRES)(
  'rule 29 $name: a disk put back on the same timeline is never streamed on from, though its log has grown past every position',
  async (version) => {
    const [serverA, serverB] = await Promise.all([startVersion(version), startVersion(version)]);
    servers = [serverA, serverB];
    redisServer = await startRedis();
    redis = await connectRedis(redisServer.url);
    const a = await makeSite('a', ['b'], siteOf(serverA));
    const b = await makeSite('b', ['a'], siteOf(serverB));
    await Promise.all([follow(a, b), follow(b, a)].map((running) => untilStreaming(running)));
    await dial(a, 1, 'to be forgotten');
    await dial(a, 2, '200');
    await query(
      a.owner,
      `INSERT INTO lastcall.terminals (terminal_id, username, aor, number) VALUES (3, 'u3', 'sip:u3@x', '3')`,
    );
    await expectCopiesEqualOrigins([a, b]);
    await stopAll();
    const [data, snapshot] = [serverA.dataDir, `${serverA.dataDir}-snapshot`];
    await serverA.stop('fast');
    await run('cp', ['-a', data, snapshot]);
    await serverA.start();

    await Promise.all([follow(a, b), follow(b, a)].map((running) => untilStreaming(running)));
    await query(a.app, `SELECT lastcall.forget(1, 'all')`);
    await query(a.app, 'DELETE FROM lastcall.terminals WHERE terminal_id = 3');
    await dial(a, 4, '444');
    await expectCopiesEqualOrigins([a, b]);
    const before = await currentLsn(a);
    await stopAll();
    await serverA.stop('immediate');
    await rm(data, { recursive: true });
    await rename(snapshot, data);
    await serverA.start();
    expect(await dialedOf(a, 1), 'it is the old disk').toBe('to be forgotten');
    // Beats, calls and a log beyond what b has applied, before b looks.
    const atA = follow(a, b);
    await query(
      a.owner,
      `SELECT pg_logical_emit_message(false, 'x', repeat('y', 1000000)) FROM generate_series(1, 5)`,
    );
    await dial(a, 5, '555');
    await waitFor(async () => (await currentLsn(a)) > before, { what: 'the log to grow past the position' });
    await waitFor(() => atA.replicator.isBeating, { what: 'a new beat' });

    const atB = follow(b, a);
    await waitFor(() => atB.states.includes('needs-resync rolled-back'), { what: 'the verdict' });
    expect(atB.states.filter((state) => /^(streaming|catching-up)/.test(state))).toEqual([]);
    // It stands until it is healed, whoever looks, whatever happens to the process.
    const [kept] = await query(b.owner, `SELECT verdict FROM lastcall.replication_position WHERE peer = 'a'`);
    expect(kept).toEqual({ verdict: 'rolled-back' });

    coordinators = [a, b].map((home) =>
      startCoordinator(home, [a, b], { connection: redis, url: redisServer.url }),
    );
    const records = await untilFailoversDone({ a: a.owner, b: b.owner }, 1, 60_000);
    expect(
      records.filter(({ state }) => state === 'done').map(({ site, reason }) => ({ site, reason })),
    ).toEqual([{ site: 'a', reason: 'rolled-back' }]);
    await expectCopiesEqualOrigins([a, b], 30_000);
    for (const site of [a, b]) {
      expect(await dialedOf(site, 4), 'I4 what only the copy held').toBe('444');
      expect(await dialedOf(site, 5), 'what came after the rollback').toBe('555');
      expect(await dialedOf(site, 2)).toBe('200');
      expect(await dialedOf(site, 1), 'I3 a forgotten number').toBeNull();
      expect(await provisioned(site, 3), 'I3 a removed terminal').toBe(false);
    }
  },
  120_000,
);
