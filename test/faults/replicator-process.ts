import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { startServerProcess } from '../../shared/servers/server-process.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import type { SiteDatabase } from '../support/replication-pair.ts';

/** The replicator as it is installed: a process of its own. */
export interface ReplicatorProcess {
  /** SIGKILL, sent before this returns. */
  kill(): void;
  /** Resolves when it has ended, however. */
  readonly ended: Promise<string>;
  /** `state reason` of its directions, in the order it told them. */
  states(): Promise<string[]>;
  stop(): Promise<void>;
}

/** `own` and the URLs of `peers` may lead through relays. */
export async function startReplicatorProcess(
  own: SiteDatabase,
  peers: Readonly<Record<string, string>>,
): Promise<ReplicatorProcess> {
  const folder = await mkdtemp(join(privateTemporaryFolder(), 'replicator-'));
  const [config, logFile] = [join(folder, 'site.json'), join(folder, 'log')];
  await writeFile(
    config,
    JSON.stringify({
      site: own.site,
      domain: 'lastcall.test',
      postgres: { url: own.app, replicatorUrl: own.replicator },
      redis: { url: 'redis://127.0.0.1:1' },
      peers: Object.fromEntries(Object.entries(peers).map(([peer, url]) => [peer, { replicatorUrl: url }])),
      replication: { heartbeatMs: 100, coordinatorGraceMs: 0, durableEveryMs: 50 },
    }),
  );
  const server = startServerProcess({
    file: process.execPath,
    args: [join(packageRoot(), 'dist/services/replicator/main.js'), '--config', config],
    spawn: {},
    stopSignal: 'SIGTERM',
    ready: async () => true,
    logFile,
    removeFolder: folder,
  });
  return {
    kill: () => void process.kill(server.pid, 'SIGKILL'),
    ended: server.ended,
    states: async () => statesIn(await readFile(logFile, 'utf8')),
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A line that a kill cut short says nothing. */
function statesIn(log: string): string[] {
  return log
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { msg?: string; state?: string; reason?: string | null })
    .filter(({ msg }) => msg === 'direction')
    .map(({ state, reason }) => `${state} ${reason ?? ''}`.trim());
}
