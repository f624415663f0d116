import pg from 'pg';
import { clientUrl } from './client-url.ts';
import { type Migration, migrate, unraced } from './migrate.ts';
import { scramVerifier } from './scram-verifier.ts';
import { makeSecrets } from './secrets.ts';

/** `lastcall_<role>`; as `peer` the other sites log in. */
export const LOGIN_ROLES = ['app', 'replicator', 'coordinator', 'peer'] as const;
export type LoginRole = (typeof LOGIN_ROLES)[number];

export interface InitSite {
  /** A superuser, or from PostgreSQL 16 a role with CREATEROLE and REPLICATION. */
  readonly ownerUrl: string;
  readonly site: string;
  /** The other sites, whose copies this database will hold. */
  readonly peers: readonly string[];
  /** Absent: the role's password stays as it is. */
  readonly passwords?: Readonly<Partial<Record<LoginRole, string>>>;
  /** Those of a version before; absent: all. */
  readonly migrations?: readonly Migration[];
}

export interface InitResult {
  readonly migrations: readonly string[];
  readonly sites: readonly string[];
}

/** Makes a database a site's: schema, roles, tables of every site, secrets, passwords. Safe to repeat and to race. */
export async function initSite(options: InitSite): Promise<InitResult> {
  const client = new pg.Client({
    connectionString: clientUrl(options.ownerUrl),
    application_name: 'lastcall-init',
  });
  await client.connect();
  try {
    const migrations = await migrate(client, options.site, options.migrations);
    await client.query('SELECT lastcall.add_site($1, true)', [options.site]);
    for (const peer of options.peers) await client.query('SELECT lastcall.add_site($1)', [peer]);
    await makeSecrets(client);
    await setPasswords(client, options.passwords ?? {});
    const { rows } = await client.query<{ site: string }>('SELECT site FROM lastcall.sites ORDER BY site');
    return { migrations, sites: rows.map((row) => row.site) };
  } finally {
    await client.end();
  }
}

async function setPasswords(client: pg.Client, passwords: NonNullable<InitSite['passwords']>): Promise<void> {
  for (const role of LOGIN_ROLES) {
    const password = passwords[role];
    if (password === undefined) continue;
    const verifier = client.escapeLiteral(scramVerifier(password));
    await unraced(() => client.query(`ALTER ROLE lastcall_${role} PASSWORD ${verifier}`));
  }
}
