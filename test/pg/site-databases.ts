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
  const binDir = await systemBinDir();
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
  return {
    site,
    url,
    async query<R extends object>(role: Role, text: string, values: readonly unknown[] = []): Promise<R[]> {
      const pool = pools.get(role) ?? new pg.Pool({ connectionString: url(role), max: 6, types });
      pools.set(role, pool);
      return (await pool.query<R>(text, [...values])).rows;
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

const KINDS = ['lastcalls', 'terminals', 'forgotten', 'heartbeat'] as const;

/** Replication as the test plays it: `from`'s own tables, as they are now, become `to`'s copies, written by the replicator. */
export async function carry(from: SiteDatabase, to: SiteDatabase): Promise<void> {
  const rows = KINDS.map((kind) => `(SELECT jsonb_agg(t) FROM lastcall.${kind}_${from.site} t) AS ${kind}`);
  const [state] = await from.query<Record<string, unknown>>('replicator', `SELECT ${rows.join(', ')}`);
  const client = await to.connect('replicator');
  try {
    await client.query('BEGIN');
    for (const kind of KINDS) {
      const table = `lastcall.${kind}_${from.site}`;
      await client.query(`DELETE FROM ${table}`);
      await client.query(`INSERT INTO ${table} SELECT * FROM jsonb_populate_recordset(NULL::${table}, $1)`, [
        JSON.stringify(state?.[kind] ?? []),
      ]);
    }
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
}

let lastTerminal = 1000;

/** A terminal that no other test of this file uses. */
export const aTerminal = (): number => ++lastTerminal;
