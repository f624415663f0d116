import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../shared/servers/free-port.ts';
import { startServerProcess } from '../../shared/servers/server-process.ts';
import { giveTo, spawnAs, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';

export interface Etcd {
  /** host:port for clients. */
  readonly address: string;
  remove(): Promise<void>;
}

/** One etcd member, which never waits for the disk. */
export async function startEtcd(): Promise<Etcd> {
  const user = unprivilegedUser();
  const folder = await mkdtemp(join(privateTemporaryFolder(), 'etcd-'));
  await giveTo(user, folder);
  const address = `127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const process = startServerProcess({
    file: 'etcd',
    args: [
      ['--name', 'only', '--data-dir', join(folder, 'data'), '--unsafe-no-fsync'],
      ['--listen-client-urls', `http://${address}`, '--advertise-client-urls', `http://${address}`],
      ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ['--initial-cluster', `only=${peer}`],
    ].flat(),
    spawn: spawnAs(user),
    stopSignal: 'SIGTERM',
    ready: async () => {
      const answer = await fetch(`http://${address}/health`).catch(() => null);
      if (answer?.ok) return true;
      await delay(50);
      return false;
    },
    removeFolder: folder,
  });
  await process.untilReady(20_000);
  return {
    address,
    remove: async () => {
      await process.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
