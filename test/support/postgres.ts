import pg from 'pg';
import {
  type PostgresOptions,
  type PostgresServer,
  startPostgres as start,
} from '../../shared/servers/postgres-server.ts';

export { systemBinDir } from '../../shared/servers/postgres-binaries.ts';
export type { PostgresServer } from '../../shared/servers/postgres-server.ts';

/** A server of its own for one test file; `await server.remove()` at its end. Tests lose no machine, so it never waits for the disk. */
export function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  return start({ ...options, settings: { fsync: 'off', ...options.settings } });
}

/** Runs `body` with a connected client and closes it whatever happens. */
export async function withClient<T>(
  connectionString: string,
  body: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString });
  client.on('error', () => {});
  await client.connect();
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}
