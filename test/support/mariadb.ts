import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection } from 'mariadb';
import { freePort } from '../../shared/servers/free-port.ts';
import { type RestartableServer, restartable } from '../../shared/servers/restartable-server.ts';
import { runProgram } from '../../shared/servers/run-program.ts';
import { giveTo, spawnAs, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';

export type MariadbServer = RestartableServer & {
  /** Of the database `billing`, whose user may do everything there. */
  readonly url: string;
  query<T = Record<string, unknown>>(sql: string): Promise<T[]>;
  remove(): Promise<void>;
};

const INIT = `CREATE DATABASE IF NOT EXISTS billing;
CREATE USER IF NOT EXISTS 'billing'@'127.0.0.1' IDENTIFIED BY 'billing pw@1';
GRANT ALL ON billing.* TO 'billing'@'127.0.0.1';
`;

/** MariaDB of the system on 127.0.0.1, with a free port and a folder of its own. A machine without it fails, it never skips. */
export async function startMariadb(): Promise<MariadbServer> {
  const file = ['/usr/sbin/mariadbd', '/usr/libexec/mariadbd', '/usr/local/bin/mariadbd'].find((path) =>
    existsSync(path),
  );
  if (!file) throw new Error('no MariaDB: apt-get install mariadb-server');
  const user = unprivilegedUser();
  const folder = await mkdtemp(join(privateTemporaryFolder(), 'mariadb-'));
  await giveTo(user, folder);
  const [dataDir, initFile] = [join(folder, 'data'), join(folder, 'init.sql')];
  await writeFile(initFile, INIT, { mode: 0o644 });
  await runProgram(
    'mariadb-install-db',
    ['--no-defaults', `--datadir=${dataDir}`, '--auth-root-authentication-method=normal', '--skip-test-db'],
    spawnAs(user),
  );
  const port = await freePort();
  const server = restartable(`MariaDB on port ${port}`, {
    file,
    args: [
      '--no-defaults',
      `--datadir=${dataDir}`,
      `--socket=${join(folder, 's')}`,
      `--pid-file=${join(folder, 'pid')}`,
      `--init-file=${initFile}`,
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      '--skip-name-resolve',
      '--innodb-flush-log-at-trx-commit=2',
    ],
    spawn: spawnAs(user),
    stopSignal: 'SIGTERM',
    ready: () => greets(port),
    removeFolder: folder,
  });
  await server.start();
  const url = `mariadb://billing:${encodeURIComponent('billing pw@1')}@127.0.0.1:${port}/billing`;
  return Object.assign(server, {
    url,
    query: async <T>(sql: string) => {
      const connection: Connection = await createConnection({
        host: '127.0.0.1',
        port,
        user: 'billing',
        password: 'billing pw@1',
        database: 'billing',
        dateStrings: true,
        bigIntAsNumber: true,
      });
      try {
        return await connection.query<T[]>(sql);
      } finally {
        await connection.end();
      }
    },
    remove: async () => {
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  });
}

/** It greets whoever connects, once it has run its init file. */
async function greets(port: number): Promise<boolean> {
  const heard = await new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(1_000, () => socket.destroy());
    socket.once('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
  if (!heard) await delay(20);
  return heard;
}
