import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { freePort } from '../../shared/servers/free-port.ts';
import {
  identifyProcess,
  processTree,
  signalQuietly,
  stillRuns,
} from '../../shared/servers/process-identity.ts';
import { type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';
import { giveTo, spawnAs, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { noteStarted } from '../../shared/servers/started-processes.ts';
import { systemBinDir } from '../support/postgres.ts';
import { type Etcd, startEtcd } from './etcd.ts';

export const PATRONI_PASSWORD = 'lastcall-test';

/** One PostgreSQL under its own Patroni. */
export interface PatroniNode {
  readonly port: number;
  readonly restPort: number;
  readonly patroni: ServerProcess;
  /** SIGKILL for PostgreSQL; its Patroni lives. */
  crash(): Promise<void>;
}

/** Two nodes with etcd; the first is the leader and the second streams from it. */
export interface PatroniCluster {
  readonly nodes: readonly [PatroniNode, PatroniNode];
  stop(): Promise<void>;
}

/** `callback` is the command of on_role_change; `folder` must be open to the servers' user. */
export async function startPatroniCluster(folder: string, callback: string): Promise<PatroniCluster> {
  const etcd = await startEtcd();
  const first = await startNode(folder, 1, etcd, callback, '/primary');
  const second = await startNode(folder, 2, etcd, callback, '/replica');
  return {
    nodes: [first, second],
    stop: async () => {
      // Killed with their servers: a Patroni asked to stop would wait for what the others did not see.
      for (const node of [first, second]) {
        await node.patroni.kill();
        await node.crash();
      }
      await etcd.remove();
    },
  };
}

async function startNode(
  folder: string,
  node: number,
  etcd: Etcd,
  callback: string,
  ready: '/primary' | '/replica',
): Promise<PatroniNode> {
  const user = unprivilegedUser();
  const [port, restPort] = [await freePort(), await freePort()];
  const dataDir = join(folder, `node${node}`);
  const configFile = join(folder, `patroni${node}.yaml`);
  const binDir = systemBinDir();
  await writeFile(
    configFile,
    stringify(patroniConfig({ node, port, restPort, dataDir, binDir, etcd: etcd.address, folder, callback })),
  );
  await giveTo(user, configFile);
  const patroni = startServerProcess({
    file: 'patroni',
    args: [configFile],
    spawn: spawnAs(user),
    stopSignal: 'SIGTERM',
    ready: async () => {
      const answer = await fetch(`http://127.0.0.1:${restPort}${ready}`).catch(() => null);
      if (answer?.ok) return true;
      await delay(50);
      return false;
    },
  });
  await patroni.untilReady(60_000);
  const server = await postmasterPid(dataDir);
  // Swept as well when this process is killed.
  if (server !== null) noteStarted(server);
  return { port, restPort, patroni, crash: () => crash(dataDir) };
}

async function crash(dataDir: string): Promise<void> {
  const pid = await postmasterPid(dataDir);
  if (pid === null) return;
  const tree = processTree(pid);
  const members = tree.map(identifyProcess);
  for (const member of tree) signalQuietly(member, 'SIGKILL');
  while (members.some((member) => member && stillRuns(member))) await delay(5);
}

/** Of a server that is no child of whoever started it. The pid file may be a dead server's, and its number somebody else's by now. */
export async function postmasterPid(dataDir: string): Promise<number | null> {
  const pid = Number.parseInt(await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => ''), 10);
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes(dataDir) ? pid : null;
}

interface NodeSettings {
  readonly node: number;
  readonly port: number;
  readonly restPort: number;
  readonly dataDir: string;
  readonly binDir: string | null;
  readonly etcd: string;
  readonly folder: string;
  readonly callback: string;
}

/** A crashed primary is not started again but replaced at once. */
function patroniConfig(of: NodeSettings): object {
  const asRole = (username: string) => ({ username, password: PATRONI_PASSWORD });
  return {
    scope: 'main',
    name: `node${of.node}`,
    restapi: { listen: `127.0.0.1:${of.restPort}`, connect_address: `127.0.0.1:${of.restPort}` },
    etcd3: { host: of.etcd },
    bootstrap: {
      dcs: {
        ttl: 20,
        loop_wait: 1,
        retry_timeout: 5,
        primary_start_timeout: 0,
        postgresql: { parameters: { wal_level: 'logical', max_slot_wal_keep_size: '1GB' } },
        ignore_slots: [{ type: 'logical', plugin: 'pgoutput', database: 'postgres' }],
      },
      initdb: [{ encoding: 'UTF8' }, 'no-locale', 'no-sync'],
      pg_hba: ['host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256'],
    },
    postgresql: {
      listen: `127.0.0.1:${of.port}`,
      connect_address: `127.0.0.1:${of.port}`,
      data_dir: of.dataDir,
      bin_dir: of.binDir,
      pgpass: join(of.folder, `pgpass${of.node}`),
      authentication: { superuser: asRole('postgres'), replication: asRole('standby') },
      callbacks: { on_role_change: of.callback },
      parameters: {
        fsync: 'off',
        password_encryption: 'scram-sha-256',
        unix_socket_directories: of.folder,
      },
    },
  };
}
