import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../shared/servers/free-port.ts';
import { type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';
import { giveTo, spawnAs, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import { withClient } from '../support/postgres.ts';

export interface PgBouncer {
  readonly process: ServerProcess;
  readonly configFile: string;
  url(database: string, user: string): string;
  remove(): Promise<void>;
}

/** PgBouncer in front of one port; whoever comes is who it says. */
export async function startPgBouncer(
  serverPort: number,
  passwords: Readonly<Record<string, string>>,
  poolMode: 'session' | 'transaction' = 'transaction',
): Promise<PgBouncer> {
  const user = unprivilegedUser();
  const folder = await mkdtemp(join(privateTemporaryFolder(), 'pgbouncer-'));
  await giveTo(user, folder);
  const port = await freePort();
  const users = join(folder, 'users.txt');
  const configFile = join(folder, 'pgbouncer.ini');
  const lines = Object.entries(passwords).map(([name, password]) => `"${name}" "${password}"\n`);
  await writeFile(users, lines.join(''));
  await writeFile(
    configFile,
    `[databases]
postgres = host=127.0.0.1 port=${serverPort} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
admin_users = bouncer
pool_mode = ${poolMode}
ignore_startup_parameters = extra_float_digits
`,
  );
  for (const file of [users, configFile]) await giveTo(user, file);
  const url = (database: string, name: string) => `postgres://${name}:any@127.0.0.1:${port}/${database}`;
  const process = startServerProcess({
    file: 'pgbouncer',
    args: [configFile],
    spawn: spawnAs(user),
    stopSignal: 'SIGTERM',
    ready: () =>
      withClient(
        url('pgbouncer', 'bouncer'),
        async (client) => (await client.query('SHOW VERSION')).rows.length > 0,
      ).catch(() => false),
    removeFolder: folder,
  });
  await process.untilReady(10_000);
  const remove = async (): Promise<void> => {
    await process.kill();
    await rm(folder, { recursive: true, force: true });
  };
  return { process, configFile, url, remove };
}
