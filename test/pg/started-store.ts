import { Database } from '../../shared/postgres/database.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { openSite, type SiteDatabase } from './site-databases.ts';

/** Site a's database in a server of its own. */
export interface StartedStore {
  readonly server: PostgresServer;
  readonly site: SiteDatabase;
  /** As the services open it. */
  readonly database: Database;
  stop(): Promise<void>;
}

export async function startStore(peers: readonly string[] = ['b']): Promise<StartedStore> {
  const server = await startPostgres();
  const site = await openSite(server, 'a', peers);
  const database = new Database({ url: site.url('app'), applicationName: 'test' });
  await database.start();
  return {
    server,
    site,
    database,
    stop: async () => {
      await database.close();
      // The test may have killed the server.
      await site.close().catch(() => {});
      await server.remove();
    },
  };
}
