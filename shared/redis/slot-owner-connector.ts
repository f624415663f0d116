import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis';

interface Place {
  readonly host: string;
  readonly port: number;
}

type Login = Pick<RedisOptions, 'username' | 'password' | 'tls'>;

const DISCONNECT_TIMEOUT_MS = 2_000;
const ASK_TIMEOUT_MS = 1_000;
const MOVED = /^MOVED \d+ (.*):(\d+)$/;

/**
 * How ioredis reaches the node of a Cluster that holds the slot of `key`: any of `nodes` is asked for it and says where it
 * is. Asked again at each connection, so that a promoted replica is found.
 */
export function slotOwnerConnector(nodes: readonly Place[], key: string, login: Login) {
  return class SlotOwnerConnector extends AbstractConnector {
    constructor() {
      super(DISCONNECT_TIMEOUT_MS);
    }

    override async connect(): Promise<Socket> {
      this.connecting = true;
      const owner = await findOwner(nodes, key, login);
      // Given up meanwhile.
      if (!this.connecting) throw new Error('Connection is closed.');
      const socket = login.tls ? connectTls({ ...owner, ...login.tls }) : connectTcp({ ...owner });
      socket.once('error', (error) => {
        this.firstError = error;
      });
      this.stream = socket;
      return socket;
    }
  };
}

/** The first node that answers tells. Throws what the last one failed with. */
async function findOwner(nodes: readonly Place[], key: string, login: Login): Promise<Place> {
  let last: unknown = new Error('no node is named');
  for (const node of nodes) {
    try {
      return await askOwner(node, key, login);
    } catch (cause) {
      last = cause;
    }
  }
  throw last;
}

async function askOwner(node: Place, key: string, login: Login): Promise<Place> {
  const client = new Redis({
    ...node,
    ...login,
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: ASK_TIMEOUT_MS,
    commandTimeout: ASK_TIMEOUT_MS,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.exists(key);
    return node;
  } catch (cause) {
    const [, host, port] = MOVED.exec(cause instanceof Error ? cause.message : '') ?? [];
    if (port === undefined) throw cause;
    // Without a host: another port of the node that was asked.
    return { host: host || node.host, port: Number(port) };
  } finally {
    client.disconnect();
  }
}
