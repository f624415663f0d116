import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { startServerProcess } from '../../shared/servers/server-process.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import type { SiteDatabase } from '../support/replication-pair.ts';

/** The coordinator as it is installed: a process of its own, that can be frozen. */
export interface CoordinatorProcess {
  /** SIGSTOP, sent before this returns. */
  freeze(): void;
  wake(): void;
  stop(): Promise<void>;
}

export async function startCoordinatorProcess(
  own: SiteDatabase,
  peers: Readonly<Record<string, string>>,
  redisUrl: string,
): Promise<CoordinatorProcess> {
  const folder = await mkdtemp(join(privateTemporaryFolder(), 'coordinator-'));
  const [config, logFile] = [join(folder, 'site.json'), join(folder, 'log')];
  await writeFile(
    config,
    JSON.stringify({
      site: own.site,
      domain: 'lastcall.test',
      postgres: { url: own.app, coordinatorUrl: own.coordinator },
      redis: { url: redisUrl },
      peers: Object.fromEntries(Object.entries(peers).map(([peer, url]) => [peer, { coordinatorUrl: url }])),
    }),
  );
  const server = startServerProcess({
    file: process.execPath,
    args: [join(packageRoot(), 'dist/services/coordinator/main.js'), '--config', config],
    spawn: {},
    stopSignal: 'SIGTERM',
    ready: async () => true,
    logFile,
    removeFolder: folder,
  });
  return {
    freeze: () => void process.kill(server.pid, 'SIGSTOP'),
    wake: () => void process.kill(server.pid, 'SIGCONT'),
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
