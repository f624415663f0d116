import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PostgresServer } from '../../../shared/servers/postgres-server.ts';
import { type Engine, execute, until } from './engine.ts';

/** Whether Debian's postgresql-15-pglogical, or another, belongs to these binaries (`/usr/lib/postgresql/15/bin`). */
export const hasPglogical = (binDir: string): boolean =>
  existsSync(join(binDir, '..', 'lib', 'pglogical.so'));

const PGLOGICAL_DATABASE = 'lastcall_pglogical';

/** pglogical 2.4: the same table over the extension's own decoder and apply worker. */
export async function pglogicalEngine(origin: PostgresServer, subscriber: PostgresServer): Promise<Engine> {
  const copyUrl = subscriber.url(PGLOGICAL_DATABASE);
  const dsn = (url: string): string => `'${url.replaceAll("'", "''")}'`;
  await trustOutputPlugin(origin);
  await execute(origin.url(), 'CREATE EXTENSION pglogical');
  await execute(origin.url(), `SELECT pglogical.create_node('origin', ${dsn(origin.url())})`);
  await execute(origin.url(), `SELECT pglogical.create_replication_set('bench')`);
  await execute(origin.url(), `SELECT pglogical.replication_set_add_table('bench', 'lastcall.lastcalls_a')`);
  await execute(copyUrl, 'CREATE EXTENSION pglogical');
  await execute(copyUrl, `SELECT pglogical.create_node('copy', ${dsn(copyUrl)})`);
  const drop = async (): Promise<void> => {
    await execute(copyUrl, `SELECT pglogical.drop_subscription('bench_pglogical', true)`);
    await until(
      async () =>
        (await execute(origin.url(), `SELECT FROM pg_replication_slots WHERE slot_name LIKE 'pgl\\_%'`))
          .length === 0,
      'the slot to go',
    );
  };
  const isReplicating = async (): Promise<boolean> => {
    const rows = await execute(
      copyUrl,
      `SELECT bool_and(sync_status = 'r') AS ready FROM pglogical.local_sync_status`,
    );
    return rows[0]?.['ready'] === true;
  };
  return {
    name: 'pglogical',
    copyUrl,
    slot: 'pgl\\_%',
    async synchronise() {
      await drop();
      await execute(copyUrl, 'TRUNCATE lastcall.lastcalls_a');
      await execute(
        copyUrl,
        `SELECT pglogical.create_subscription('bench_pglogical', ${dsn(origin.url())}, replication_sets := '{bench}', synchronize_data := true)`,
      );
      await until(isReplicating, 'pglogical to replicate', 120_000);
    },
    pause: async () =>
      void (await execute(copyUrl, `SELECT pglogical.alter_subscription_disable('bench_pglogical', true)`)),
    resume: async () =>
      void (await execute(copyUrl, `SELECT pglogical.alter_subscription_enable('bench_pglogical', true)`)),
    remove: drop,
    workers: () => [],
  };
}

/** Newer minor releases of PostgreSQL load only the output plugins that this parameter names. */
async function trustOutputPlugin(origin: PostgresServer): Promise<void> {
  const known = await execute(origin.url(), `SELECT FROM pg_settings WHERE name = 'output_plugin_libraries'`);
  if (known.length === 0) return;
  await execute(
    origin.url(),
    'ALTER SYSTEM SET output_plugin_libraries = pgoutput, test_decoding, pglogical_output',
  );
  await execute(origin.url(), 'SELECT pg_reload_conf()');
}
