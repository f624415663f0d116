import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../shared/servers/free-port.ts';
import { runProgram } from '../../shared/servers/run-program.ts';
import { startServerProcess } from '../../shared/servers/server-process.ts';
import { giveTo, spawnAs, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { query } from '../support/replication-pair.ts';

/** Barman with folders of its own, streaming the WAL of one server as docs/operations/barman.md sets it up. */
export interface Barman {
  /** `barman check site-a`, for `coordinator.backupCheckCommand`. */
  readonly checkCommand: string;
  /** A base backup, complete with the WAL that it needs. */
  backup(): Promise<void>;
  /** Restores the latest backup into `dataDir`, which must not exist. */
  recover(dataDir: string): Promise<void>;
  /** Receives no more WAL; what it has can be restored. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

const ROLES = `
  CREATE ROLE barman LOGIN PASSWORD 'lastcall-test';
  GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean), pg_switch_wal(), pg_create_restore_point(text) TO barman;
  GRANT pg_read_all_settings, pg_read_all_stats, pg_checkpoint TO barman;
  CREATE ROLE streaming_barman LOGIN REPLICATION PASSWORD 'lastcall-test'`;

export async function startBarman(server: PostgresServer): Promise<Barman> {
  const user = unprivilegedUser();
  const folder = await mkdtemp(join(privateTemporaryFolder(), 'barman-'));
  const home = join(folder, 'home');
  await mkdir(home);
  for (const path of [folder, home]) await giveTo(user, path);
  const configFile = join(folder, 'barman.conf');
  await writeFile(
    configFile,
    await barmanConfig({
      home,
      port: server.port,
      binDir: server.binDir,
      user: user?.name ?? userInfo().username,
    }),
  );
  await query(server.url(), ROLES);

  const command = ['--config', configFile];
  const barman = (...args: string[]): Promise<string> =>
    runProgram('barman', [...command, ...args], spawnAs(user));
  await barman('receive-wal', '--create-slot', 'site-a');
  const receiver = startServerProcess({
    file: 'barman',
    args: [...command, 'receive-wal', 'site-a'],
    spawn: spawnAs(user),
    stopSignal: 'SIGTERM',
    ready: async () => {
      const active = await query(
        server.url(),
        `SELECT FROM pg_replication_slots WHERE slot_name = 'barman' AND active`,
      );
      if (active.length === 0) await delay(50);
      return active.length > 0;
    },
    removeFolder: folder,
  });
  await receiver.untilReady(20_000);
  return {
    checkCommand: `barman --config ${configFile} check site-a`,
    backup: async () => {
      await barman('switch-wal', '--archive', 'site-a');
      await barman('backup', '--wait', 'site-a');
    },
    recover: async (dataDir) => {
      await barman('recover', 'site-a', 'latest', dataDir);
    },
    stop: () => receiver.kill(),
    remove: async () => {
      await receiver.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The first of the two hosts takes no connection, as a stopped standby. */
async function barmanConfig(of: {
  home: string;
  port: number;
  binDir: string;
  user: string;
}): Promise<string> {
  const hosts = `host=127.0.0.1,127.0.0.1 port=${await freePort()},${of.port} password=lastcall-test target_session_attrs=primary`;
  return `[barman]
barman_user = ${of.user}
barman_home = ${of.home}
log_file = ${join(of.home, 'barman.log')}

[site-a]
description = Lastcall site a
conninfo = ${hosts} user=barman dbname=postgres
streaming_conninfo = ${hosts} user=streaming_barman
path_prefix = ${of.binDir}
backup_method = postgres
streaming_archiver = on
slot_name = barman
create_slot = auto
immediate_checkpoint = true
retention_policy = RECOVERY WINDOW OF 14 DAYS
last_backup_maximum_age = 2 DAYS
minimum_redundancy = 1
`;
}
