import pg from 'pg';
import { hostLabel } from '../../shared/postgres/find-primary.ts';

/** Somebody else works on one of the sites. */
export class LeaseTaken extends Error {
  override readonly name = 'LeaseTaken';
  readonly site: string;

  constructor(site: string) {
    super(`another failover works on site ${site}`);
    this.site = site;
  }
}

const FAILOVER_LOCK = 0x6c63_666f;

export interface Lease {
  /** Aborted when the lease is lost: its connection ended, so another coordinator may have it. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

/**
 * One advisory lock in the database of every site concerned, taken in the order of the sites' names: any coordinator may
 * run a flow, one does. A killed holder loses it with its connections. Throws `LeaseTaken`, or what `pg` throws.
 */
export async function takeLease(sites: ReadonlyMap<string, string>): Promise<Lease> {
  const lost = new AbortController();
  const clients: pg.Client[] = [];
  let released = false;
  const onLost = (url: string) => (): void => {
    if (!released) lost.abort(new Error(`lost the lease at ${hostLabel(url)}`));
  };
  const release = async (): Promise<void> => {
    released = true;
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  };
  try {
    for (const [site, url] of [...sites].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const client = await connect(url, onLost(url));
      clients.push(client);
      const { rows } = await client.query<{ taken: boolean }>(
        `SELECT pg_try_advisory_lock(${FAILOVER_LOCK}) AS taken`,
      );
      if (!rows[0]?.taken) throw new LeaseTaken(site);
    }
  } catch (cause) {
    await release();
    throw cause;
  }
  return { signal: lost.signal, release };
}

async function connect(url: string, onLost: () => void): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'lastcall-coordinator-lease',
    connectionTimeoutMillis: 3_000,
    query_timeout: 3_000,
    keepAlive: true,
  });
  client.on('error', onLost);
  client.on('end', onLost);
  await client.connect();
  return client;
}
