import type { RedisConnection } from '../../shared/redis/connect.ts';
import { keyPrefix } from '../../shared/redis/keys.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { type RedisServer, startRedis } from '../../shared/servers/redis-server.ts';
import { connectRedis } from './redis.ts';
import { waitFor } from './wait-for.ts';

const PRIMARIES = 3;
const SLOTS = 16_384;

/** Three primaries of a Cluster, and a replica of the one that holds the site's keys. */
export interface RedisCluster {
  /** Names all nodes. */
  readonly url: string;
  /** Of the site's keys. */
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  remove(): Promise<void>;
}

interface Node {
  readonly server: RedisServer;
  readonly busPort: number;
  readonly connection: RedisConnection;
}

export async function startRedisCluster(site: string): Promise<RedisCluster> {
  const nodes = await Promise.all(Array.from({ length: PRIMARIES + 1 }, startNode));
  const [replica, ...primaries] = nodes as [Node, ...Node[]];
  await Promise.all(
    primaries.map(({ connection }, index) =>
      connection.client.call('CLUSTER', 'ADDSLOTSRANGE', share(index), share(index + 1) - 1),
    ),
  );
  for (const { server, busPort } of primaries)
    await replica.connection.client.call('CLUSTER', 'MEET', '127.0.0.1', server.port, busPort);
  const slot = Number(await replica.connection.client.call('CLUSTER', 'KEYSLOT', keyPrefix(site)));
  const primary = primaries[Math.floor((slot * PRIMARIES) / SLOTS)] as Node;
  const id = String(await primary.connection.client.call('CLUSTER', 'MYID'));
  await untilEachSays(nodes, 'CLUSTER NODES', (text) => text.trim().split('\n').length === nodes.length);
  await replica.connection.client.call('CLUSTER', 'REPLICATE', id);
  await untilEachSays(nodes, 'CLUSTER INFO', (text) => text.includes('cluster_state:ok'));
  await untilEachSays([replica], 'INFO replication', (text) => text.includes('master_link_status:up'));
  await Promise.all(nodes.map(({ connection }) => connection.close()));
  return {
    url: `redis+cluster://${nodes.map(({ server }) => `127.0.0.1:${server.port}`).join(',')}`,
    primary: primary.server,
    replica: replica.server,
    async remove() {
      await Promise.all(nodes.map(({ server }) => server.remove()));
    },
  };
}

const share = (index: number): number => Math.ceil((SLOTS * index) / PRIMARIES);

async function startNode(): Promise<Node> {
  const busPort = await freePort();
  const server = await startRedis({
    settings: { 'cluster-enabled': 'yes', 'cluster-port': String(busPort), 'cluster-node-timeout': '1500' },
  });
  return { server, busPort, connection: await connectRedis(server.url) };
}

const untilEachSays = (nodes: readonly Node[], command: string, says: (text: string) => boolean) =>
  Promise.all(
    nodes.map(({ connection }) => {
      const [name = '', ...words] = command.split(' ');
      return waitFor(async () => says(String(await connection.client.call(name, ...words))), {
        what: `${command} of every node`,
        deadlineMs: 30_000,
      });
    }),
  );
