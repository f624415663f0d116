import { RedisConnection } from '../../shared/redis/connect.ts';
import { type RedisServer, startRedis as start } from '../../shared/servers/redis-server.ts';
import { waitFor } from './wait-for.ts';

export type { RedisServer } from '../../shared/servers/redis-server.ts';

/** A Redis of its own for one test file, on a free port; `await server.remove()` at its end. */
export function startRedis(
  options: { readonly password?: string; readonly port?: number } = {},
): Promise<RedisServer> {
  return start(options);
}

/** A connection that is up. */
export async function connectRedis(url: string, site = 'a'): Promise<RedisConnection> {
  const connection = new RedisConnection({ url, site, commandTimeoutMs: 1_000 });
  connection.start();
  await waitFor(() => connection.state.state === 'up', { what: 'the connection to Redis' });
  return connection;
}
