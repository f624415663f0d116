import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../shared/servers/free-port.ts';
import { startServerProcess } from '../../shared/servers/server-process.ts';
import { giveTo, spawnAs, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';

export interface HaProxy {
  readonly port: number;
  remove(): Promise<void>;
}

/** A server and the port where its REST says whether it is the primary. */
export interface Checked {
  readonly port: number;
  readonly restPort: number;
}

/** One port that leads to the primary, as docs/operations/haproxy.md sets it up. Ready when it has ruled out the others. */
export async function startHaProxy(servers: readonly Checked[]): Promise<HaProxy> {
  const user = unprivilegedUser();
  const folder = await mkdtemp(join(privateTemporaryFolder(), 'haproxy-'));
  const configFile = join(folder, 'haproxy.cfg');
  const port = await freePort();
  const statistics = await freePort();
  const lines = servers.map(
    (server, index) => `  server node${index + 1} 127.0.0.1:${server.port} check port ${server.restPort}`,
  );
  await writeFile(
    configFile,
    `defaults
  mode tcp
  timeout connect 2s
  timeout client 30m
  timeout server 30m
  timeout check 2s

listen lastcall-primary
  bind 127.0.0.1:${port}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
${lines.join('\n')}

frontend statistics
  mode http
  bind 127.0.0.1:${statistics}
  stats enable
  stats uri /
`,
  );
  for (const path of [folder, configFile]) await giveTo(user, path);
  const process = startServerProcess({
    file: 'haproxy',
    args: ['-db', '-f', configFile],
    spawn: spawnAs(user),
    stopSignal: 'SIGTERM',
    ready: async () => {
      const table = await fetch(`http://127.0.0.1:${statistics}/;csv`).catch(() => null);
      const states = (await table?.text())?.split('\n') ?? [];
      if (states.filter((line) => /^lastcall-primary,node.*,DOWN,/.test(line)).length === servers.length - 1)
        return true;
      await delay(50);
      return false;
    },
    removeFolder: folder,
  });
  await process.untilReady(20_000);
  return {
    port,
    remove: async () => {
      await process.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
