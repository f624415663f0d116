/** Two clusters: the origin, site a; and the subscriber's, with one database an engine. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initSite } from '../../../shared/postgres/init-site.ts';
import { packageRoot } from '../../../shared/runtime/package-root.ts';
import { systemBinDir } from '../../../shared/servers/postgres-binaries.ts';
import { type PostgresServer, startPostgres } from '../../../shared/servers/postgres-server.ts';
import { type Engine, execute, until } from './engine.ts';
import { hasPglogical, pglogicalEngine } from './pglogical-engine.ts';

const PASSWORD = 'lastcall-bench';

export interface Stage {
  readonly origin: PostgresServer;
  readonly subscriber: PostgresServer;
  readonly engines: readonly Engine[];
  readonly folder: string;
  remove(): Promise<void>;
}

/** Durable as in service (fsync on), with memory enough that the disk is not what is measured. */
const SETTINGS = {
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  max_slot_wal_keep_size: '100GB',
  checkpoint_timeout: '30min',
  autovacuum_naptime: '10s',
  // Else the native subscription waits up to 5 s before it connects again, which swallows a small backlog.
  wal_retrieve_retry_interval: '100ms',
};

export async function buildStage(): Promise<Stage> {
  const binDir = systemBinDir();
  const withPglogical = binDir !== null && hasPglogical(binDir);
  const preload = withPglogical ? { shared_preload_libraries: 'pglogical' } : {};
  const options = { ...(binDir ? { binDir } : {}), settings: { ...SETTINGS, ...preload } };
  const [origin, subscriber] = await Promise.all([startPostgres(options), startPostgres(options)]);
  const folder = await mkdtemp(join(tmpdir(), 'lastcall-bench-'));
  const databases = ['lastcall_ours', 'lastcall_native', ...(withPglogical ? ['lastcall_pglogical'] : [])];
  for (const database of databases) await subscriber.createDatabase(database);
  const passwords = { app: PASSWORD, replicator: PASSWORD, coordinator: PASSWORD };
  await initSite({ ownerUrl: origin.url(), site: 'a', peers: ['b'], passwords });
  for (const database of databases) {
    await initSite({ ownerUrl: subscriber.url(database), site: 'b', peers: ['a'], passwords });
  }
  await execute(origin.url(), 'CREATE PUBLICATION bench_native FOR TABLE lastcall.lastcalls_a');
  return {
    origin,
    subscriber,
    engines: [
      nativeEngine(origin, subscriber),
      await ourEngine(origin, subscriber, folder),
      ...(withPglogical ? [await pglogicalEngine(origin, subscriber)] : []),
    ],
    folder,
    remove: async () => {
      await Promise.all([origin.remove(), subscriber.remove()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** CREATE SUBSCRIPTION with its defaults (apply with synchronous_commit off), binary as ours. */
function nativeEngine(origin: PostgresServer, subscriber: PostgresServer): Engine {
  const copyUrl = subscriber.url('lastcall_native');
  const streams = async (): Promise<boolean> => {
    const rows = await execute(
      copyUrl,
      `SELECT bool_and(srsubstate IN ('r', 's')) AS ready FROM pg_subscription_rel`,
    );
    return rows[0]?.['ready'] === true;
  };
  const drop = async (): Promise<void> => {
    const rows = await execute(copyUrl, `SELECT 1 FROM pg_subscription WHERE subname = 'bench_native'`);
    if (rows.length > 0) await execute(copyUrl, 'DROP SUBSCRIPTION bench_native');
  };
  return {
    name: 'native',
    copyUrl,
    slot: 'bench_native',
    async synchronise() {
      await drop();
      await execute(copyUrl, 'TRUNCATE lastcall.lastcalls_a');
      const connection = origin.url().replaceAll("'", "''");
      await execute(
        copyUrl,
        `CREATE SUBSCRIPTION bench_native CONNECTION '${connection}' PUBLICATION bench_native WITH (binary = true)`,
      );
      await until(streams, 'the native subscription to stream');
    },
    pause: async () => void (await execute(copyUrl, 'ALTER SUBSCRIPTION bench_native DISABLE')),
    resume: async () => void (await execute(copyUrl, 'ALTER SUBSCRIPTION bench_native ENABLE')),
    remove: drop,
    workers: () => [],
  };
}

async function ourEngine(
  origin: PostgresServer,
  subscriber: PostgresServer,
  folder: string,
): Promise<Engine> {
  const copyUrl = subscriber.url('lastcall_ours');
  const config = join(folder, 'b.yaml');
  const replicatorUrl = subscriber.url('lastcall_ours', 'lastcall_replicator', PASSWORD);
  const peerUrl = origin.url('postgres', 'lastcall_replicator', PASSWORD);
  await writeFile(
    config,
    JSON.stringify({
      site: 'b',
      domain: 'lastcall.test',
      postgres: { url: subscriber.url('lastcall_ours', 'lastcall_app', PASSWORD), replicatorUrl },
      redis: { url: 'redis://127.0.0.1:1' },
      peers: { a: { replicatorUrl: peerUrl } },
      replication: { slotBudgetBytes: 5e10 },
      log: { level: 'warn' },
    }),
  );
  let worker: ReturnType<typeof spawn> | null = null;
  const control = (columns: string, values: string, set: string): Promise<unknown> =>
    execute(
      copyUrl,
      `INSERT INTO lastcall.replication_control (peer, ${columns}) VALUES ('a', ${values}) ON CONFLICT (peer) DO UPDATE SET ${set}`,
    );
  const state = async (): Promise<string> => {
    const rows = await execute(
      copyUrl,
      `SELECT state FROM lastcall.replication_status JOIN lastcall.replication_control USING (peer)
       WHERE peer = 'a' AND resync_requested_at IS NULL AND NOT paused`,
    );
    return String(rows[0]?.['state'] ?? '');
  };
  return {
    name: 'lastcall',
    copyUrl,
    slot: 'lastcall_b',
    async synchronise() {
      await control(
        'resync_requested_at, resync_reason',
        `clock_timestamp(), 'operator'`,
        `resync_requested_at = clock_timestamp(), resync_reason = 'operator', paused = false`,
      );
      if (!worker) {
        worker = spawn(
          process.execPath,
          [join(packageRoot(), 'dist/services/replicator/main.js'), '--config', config],
          { stdio: 'inherit' },
        );
      }
      await until(
        async () => ['streaming', 'catching-up'].includes(await state()),
        'our direction to stream',
      );
    },
    pause: async () => {
      await control('paused', 'true', 'paused = true');
      await until(async () => (await activeSlots(origin, 'lastcall_b')) === 0, 'our walsender to end');
    },
    resume: async () => void (await control('paused', 'false', 'paused = false')),
    async remove() {
      const ended = worker && new Promise((resolve) => worker?.once('exit', resolve));
      worker?.kill('SIGTERM');
      await ended;
      worker = null;
      await execute(
        origin.url(),
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'lastcall_b'`,
      );
    },
    workers: () => (worker ? [worker] : []),
  };
}

async function activeSlots(origin: PostgresServer, slot: string): Promise<number> {
  const rows = await execute(
    origin.url(),
    `SELECT count(*)::int AS n FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`,
  );
  return Number(rows[0]?.['n']);
}
