import pg from 'pg';
import { initSite } from '../../shared/postgres/init-site.ts';
import { typeParsers } from '../../shared/postgres/postgres-types.ts';
import { type PostgresServer, startPostgres, systemBinDir } from '../support/postgres.ts';

/** Where the rules of the schema must hold alike. */
export const POSTGRES = [
  { name: 'embedded PostgreSQL', ofSystem: false },
  { name: 'PostgreSQL of the system', ofSystem: true },
] as const;

/** A machine without the system's PostgreSQL fails, it never skips. */
export async function startVersion({ ofSystem }: { ofSystem: boolean }): Promise<PostgresServer> {
  if (!ofSystem) return startPostgres();
  const binDir = systemBinDir();
  if (binDir === null) throw new Error('no PostgreSQL of the system: apt-get install postgresql');
  return startPostgres({ binDir });
}

export const ROLES = ['app', 'replicator', 'coordinator'] as const;
export type Role = (typeof ROLES)[number] | 'owner';

/** One site's database, to be used as any of its roles. */
export interface SiteDatabase {
  readonly site: string;
  url(role: Role): string;
  /** One statement on any free connection. */
  query<R extends object = Record<string, unknown>>(
    role: Role,
    text: string,
    values?: readonly unknown[],
  ): Promise<R[]>;
  transaction<T>(role: Role, work: (client: pg.PoolClient) => Promise<T>): Promise<T>;
  /** A connection of its own, for transactions that wait for each other. */
  connect(role: Role): Promise<pg.Client>;
  close(): Promise<void>;
}

const PASSWORD = 'lastcall-test';

/** Creates the database `site_<site>` in the server and makes it that site's. */
export async function openSite(
  server: PostgresServer,
  site: string,
  peers: readonly string[],
): Promise<SiteDatabase> {
  const database = `site_${site}`;
  await server.createDatabase(database);
  const passwords = { app: PASSWORD, replicator: PASSWORD, coordinator: PASSWORD };
  await initSite({ ownerUrl: server.url(database), site, peers, passwords });
  return connectSite(site, (role) =>
    role === 'owner' ? server.url(database) : server.url(database, `lastcall_${role}`, PASSWORD),
  );
}

function connectSite(site: string, url: (role: Role) => string): SiteDatabase {
  const pools = new Map<Role, pg.Pool>();
  const clients: pg.Client[] = [];
  const types = typeParsers();
  const poolOf = (role: Role): pg.Pool => {
    const pool = pools.get(role) ?? new pg.Pool({ connectionString: url(role), max: 6, types });
    pools.set(role, pool);
    return pool;
  };
  return {
    site,
    url,
    async query<R extends object>(role: Role, text: string, values: readonly unknown[] = []): Promise<R[]> {
      return (await poolOf(role).query<R>(text, [...values])).rows;
    },
    async transaction(role, work) {
      const client = await poolOf(role).connect();
      try {
        await client.query('BEGIN');
        const result = await work(client);
        await client.query('COMMIT');
        return result;
      } finally {
        client.release();
      }
    },
    async connect(role) {
      const client = new pg.Client({ connectionString: url(role), types });
      client.on('error', () => {});
      await client.connect();
      clients.push(client);
      return client;
    },
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.end()));
      await Promise.all(clients.map((client) => client.end()));
    },
  };
}

const KINDS = ['lastcalls', 'terminals', 'marks', 'heartbeat'] as const;

/**
 * Replication as the test plays it: `from`'s own tables, as they are now, become `to`'s copies, written by the
 * replicator. With a terminal, only what belongs to it.
 */
export async function carry(from: SiteDatabase, to: SiteDatabase, terminal?: number): Promise<void> {
  const kinds = terminal === undefined ? KINDS : KINDS.filter((kind) => kind !== 'heartbeat');
  const only = (kind: string): string => {
    if (terminal === undefined) return '';
    return kind === 'marks' ? `WHERE key = '${terminal}'` : `WHERE terminal_id = ${terminal}`;
  };
  const tables = kinds.map((kind) => `lastcall.${kind}_${from.site}`);
  const selections = tables.map(
    (table, index) => `(SELECT jsonb_agg(t) FROM ${table} t ${only(kinds[index] ?? '')}) AS rows_${index}`,
  );
  const [state] = await from.query<Record<string, unknown>>('replicator', `SELECT ${selections.join(', ')}`);
  await to.transaction('replicator', async (client) => {
    for (const [index, table] of tables.entries()) {
      await client.query(`DELETE FROM ${table} ${only(kinds[index] ?? '')}`);
      const rows = JSON.stringify(state?.[`rows_${index}`] ?? []);
      await client.query(`INSERT INTO ${table} SELECT * FROM jsonb_populate_recordset(NULL::${table}, $1)`, [
        rows,
      ]);
    }
  });
}

let lastTerminal = 1000;

/** A terminal that no other test of this file uses. */
export const aTerminal = (): number => ++lastTerminal;
