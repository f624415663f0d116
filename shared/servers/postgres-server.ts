import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { createDatabase, type PostgresProgramOptions, preparePostgres } from './postgres-program.ts';
import { type RestartableServer, restartable } from './restartable-server.ts';
import { giveTo, unprivilegedUser } from './server-user.ts';
import { privateTemporaryFolder } from './temporary-folder.ts';

/** By default a free port and a temporary data folder. */
export type PostgresOptions = Partial<PostgresProgramOptions>;

export type PostgresServer = Omit<RestartableServer, 'stop'> & {
  readonly port: number;
  readonly dataDir: string;
  readonly binDir: string;
  /** A connection URL on 127.0.0.1, by default for `postgres` (superuser) and the database `postgres`. */
  url(database?: string, user?: string, password?: string): string;
  createDatabase(name: string): Promise<void>;
  /** `smart` waits for clients, `fast` (default) disconnects them, `immediate` is a crash with a clean exit. */
  stop(mode?: 'smart' | 'fast' | 'immediate'): Promise<void>;
  /** Stops the server if it runs and removes its data folder. */
  remove(): Promise<void>;
};

const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** Creates the cluster if needed, starts it and resolves when it accepts connections. Never outlives this process for long. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const port = options.port ?? (await freePort());
  const temporary = options.dataDir ? null : await mkdtemp(join(privateTemporaryFolder(), 'postgres-'));
  if (temporary) await giveTo(unprivilegedUser(), temporary);
  const dataDir = options.dataDir ?? join(temporary as string, 'data');
  const { program, binaries, url } = await preparePostgres({ ...options, port, dataDir });
  if (temporary) program.removeFolder = temporary;
  const server: RestartableServer = restartable(`PostgreSQL on port ${port}`, program);
  await server.start();
  const stopWith = server.stop;
  const stop: PostgresServer['stop'] = (mode = 'fast') => stopWith(STOP_SIGNALS[mode]);
  return Object.assign(server, {
    port,
    dataDir,
    binDir: binaries.binDir,
    url,
    createDatabase: (name: string) => createDatabase(url(), name),
    stop,
    remove: async () => {
      await stop('immediate');
      await rm(temporary ?? dataDir, { recursive: true, force: true });
    },
  });
}
