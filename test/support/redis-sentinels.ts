import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../shared/servers/free-port.ts';
import { type RedisServer, redisProgram, startRedis } from '../../shared/servers/redis-server.ts';
import { type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import { connectRedis } from './redis.ts';
import { waitFor } from './wait-for.ts';

const PRIMARY = 'lastcall';
const SENTINELS = 3;
const QUORUM = 2;

/** A primary, its replica, and three Sentinels that promote the one when the other is gone. */
export interface SentinelledRedis {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  /** Names the Sentinels. */
  readonly url: string;
  /** From now on the replica gets nothing more from its primary. */
  leaveBehind(): Promise<void>;
  remove(): Promise<void>;
}

export async function startSentinelledRedis(): Promise<SentinelledRedis> {
  const primary = await startRedis();
  const replica = await startRedis({ settings: { replicaof: `127.0.0.1 ${primary.port}` } });
  const folder = await mkdtemp(join(privateTemporaryFolder(), 'sentinels-'));
  const sentinels = await Promise.all(
    Array.from({ length: SENTINELS }, () => startSentinel(folder, primary.port)),
  );
  const places = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
  for (const { port } of sentinels) await untilComplete(port);
  return {
    primary,
    replica,
    url: `redis+sentinel://${places}/${PRIMARY}`,
    async leaveBehind() {
      const [source, copy] = [await connectRedis(primary.url), await connectRedis(replica.url)];
      await copy.client.config('SET', 'masterauth', 'none-that-it-takes');
      await source.client.call('CLIENT', 'KILL', 'TYPE', 'replica');
      await waitFor(async () => (await copy.client.info('replication')).includes('master_link_status:down'), {
        what: 'the replica to be left behind',
      });
      await Promise.all([source.close(), copy.close()]);
    },
    async remove() {
      await Promise.all(sentinels.map(({ server }) => server.kill()));
      await Promise.all([primary.remove(), replica.remove()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startSentinel(
  folder: string,
  primaryPort: number,
): Promise<{ readonly port: number; readonly server: ServerProcess }> {
  const port = await freePort();
  // A Sentinel writes what it learns into its own file.
  const file = join(folder, `${port}.conf`);
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${PRIMARY} 127.0.0.1 ${primaryPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${PRIMARY} 1000`,
    `sentinel failover-timeout ${PRIMARY} 5000`,
  ];
  await writeFile(file, lines.map((line) => `${line}\n`).join(''));
  const server = startServerProcess({
    file: redisProgram() ?? 'redis-server',
    args: [file, '--sentinel'],
    spawn: { cwd: '/' },
    stopSignal: 'SIGTERM',
    ready: async () => true,
  });
  return { port, server };
}

/** Until it knows the replica and the other Sentinels: before that it promotes nothing. */
async function untilComplete(port: number): Promise<void> {
  const connection = await connectRedis(`redis://127.0.0.1:${port}`);
  try {
    await waitFor(
      async () => {
        const info = await connection.client.info('sentinel');
        return /status=ok/.test(info) && /slaves=1/.test(info) && info.includes(`sentinels=${SENTINELS}`);
      },
      { what: 'the Sentinels to find each other', deadlineMs: 60_000 },
    );
  } finally {
    await connection.close();
  }
}
