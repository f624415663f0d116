import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../shared/servers/free-port.ts';
import { signalQuietly } from '../../shared/servers/process-identity.ts';
import { runProgram } from '../../shared/servers/run-program.ts';
import { type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';
import { giveTo, spawnAs, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import { type PostgresServer, startPostgres, systemBinDir } from '../support/postgres.ts';
import { query } from '../support/replication-pair.ts';
import { postmasterPid } from './patroni-cluster.ts';

/** A primary and a standby under repmgr, with repmgrd at the standby ready to promote it. */
export interface RepmgrCluster {
  readonly primary: PostgresServer;
  readonly standby: PostgresServer;
  /** Where its files are; readable by the user that PostgreSQL and repmgr run as. */
  readonly folder: string;
  /** Starts repmgrd; `hook` is its event_notification_command. */
  startDaemon(hook: string): Promise<void>;
  /** A shell command that makes the standby the primary and the primary its standby, as repmgr does it. */
  readonly switchover: string;
  remove(): Promise<void>;
}

const SETTINGS = { shared_preload_libraries: 'repmgr', hot_standby_feedback: 'on', wal_log_hints: 'on' };

export async function startRepmgrCluster(): Promise<RepmgrCluster> {
  const binDir = systemBinDir('repmgrd');
  if (binDir === null) throw new Error('no PostgreSQL of the system: apt-get install postgresql');
  const user = unprivilegedUser();
  const folder = await mkdtemp(join(privateTemporaryFolder(), 'repmgr-'));
  await giveTo(user, folder);
  const primary = await startPostgres({ binDir, settings: SETTINGS });
  await query(primary.url(), 'CREATE ROLE repmgr SUPERUSER LOGIN REPLICATION');
  await trustRepmgr(primary);
  await primary.createDatabase('repmgr');
  const standbyPort = await freePort();
  const dataDir = join(folder, 'standby');
  const file = (node: number): string => join(folder, `repmgr${node}.conf`);
  const writeConfig = async (node: number, port: number, data: string, hook = ''): Promise<void> => {
    await writeFile(file(node), repmgrConfig({ node, port, data, binDir, file: file(node), hook }));
  };
  const repmgr = (node: number, ...args: string[]): Promise<string> =>
    runProgram(join(binDir, 'repmgr'), ['-f', file(node), ...args], spawnAs(user));

  await writeConfig(1, primary.port, primary.dataDir);
  await writeConfig(2, standbyPort, dataDir);
  await repmgr(1, 'primary', 'register');
  const source = [
    '-h',
    '127.0.0.1',
    '-p',
    String(primary.port),
    '-U',
    'repmgr',
    '-d',
    connection(primary.port),
  ];
  await repmgr(2, ...source, 'standby', 'clone', '--fast-checkpoint');
  const standby = await startPostgres({ binDir, port: standbyPort, dataDir, settings: SETTINGS });
  await repmgr(2, 'standby', 'register', '--wait-sync=10');

  const nodes = await localNodes(folder);
  const asUser = user ? `setpriv --reuid=${user.uid} --regid=${user.gid} --clear-groups` : '';
  let daemon: ServerProcess | null = null;
  return {
    primary,
    standby,
    folder,
    switchover: `cd / && ${asUser} env PATH=${nodes}:$PATH ${join(binDir, 'repmgr')} -f ${file(2)} standby switchover`,
    startDaemon: async (hook) => {
      await writeConfig(2, standbyPort, dataDir, hook);
      daemon = startServerProcess({
        file: join(binDir, 'repmgrd'),
        args: ['-f', file(2), '--daemonize=false', '--no-pid-file', '--verbose'],
        spawn: spawnAs(user),
        stopSignal: 'SIGTERM',
        ready: async () => {
          const rows = await query(
            standby.url('repmgr', 'repmgr'),
            'SELECT FROM repmgr.nodes WHERE repmgr.get_repmgrd_pid() > 0',
          );
          if (rows.length === 0) await delay(50);
          return rows.length > 0;
        },
      });
      await daemon.untilReady(20_000);
    },
    remove: async () => {
      await daemon?.stop();
      // What repmgr started is no child of this process.
      for (const { dataDir: data } of [primary, standby]) {
        const pid = await postmasterPid(data);
        if (pid !== null) signalQuietly(pid, 'SIGQUIT');
      }
      await Promise.all([primary.remove(), standby.remove()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** repmgr works on the other node by ssh: here that is this machine too. */
async function localNodes(folder: string): Promise<string> {
  const bin = join(folder, 'bin');
  await mkdir(bin);
  await writeFile(
    join(bin, 'ssh'),
    `#!/bin/sh
while [ "\${1#-}" != "$1" ]; do [ "$1" = -o ] && shift; shift; done
shift
exec sh -c "$*"
`,
    { mode: 0o755 },
  );
  return bin;
}

/** repmgr wants its passwords in a .pgpass; on this loopback it needs none. */
async function trustRepmgr({ dataDir, url }: PostgresServer): Promise<void> {
  const file = join(dataDir, 'pg_hba.conf');
  const rules = ['all', 'replication']
    .map((database) => `host ${database} repmgr 127.0.0.1/32 trust\n`)
    .join('');
  await writeFile(file, rules + (await readFile(file, 'utf8')));
  await query(url(), 'SELECT pg_reload_conf()');
}

function connection(port: number): string {
  return `host=127.0.0.1 port=${port} user=repmgr dbname=repmgr connect_timeout=2`;
}

function repmgrConfig(of: {
  node: number;
  port: number;
  data: string;
  binDir: string;
  file: string;
  hook: string;
}): string {
  const repmgr = join(of.binDir, 'repmgr');
  return `node_id=${of.node}
node_name='node${of.node}'
conninfo='${connection(of.port)}'
data_directory='${of.data}'
pg_bindir='${of.binDir}'
failover=automatic
promote_command='${repmgr} standby promote -f ${of.file}'
follow_command='${repmgr} standby follow -f ${of.file} --upstream-node-id=%n'
monitor_interval_secs=1
reconnect_attempts=2
reconnect_interval=1
log_level=INFO
${of.hook ? `event_notification_command='${of.hook}'` : ''}
`;
}
