import pg from 'pg';
import { digestSecrets } from '../../shared/postgres/terminals.ts';
import { DOMAIN } from './plan.ts';
import { terminalPassword } from './secrets.ts';

/** A demo account as `endpoints.json` and the ready screen show it. */
export type DemoTerminal = {
  readonly terminalId: number;
  readonly userId: number;
  readonly aor: string;
  readonly username: string;
  readonly password: string;
  readonly number: string;
};

/** How many the ready screen and the console's softphone show. */
export const SHOWN_ACCOUNTS = 5;

/** Terminal 1 has the number and username 1001, and so on. */
export function demoTerminals(count: number, key: string): DemoTerminal[] {
  return Array.from({ length: count }, (_, index) => {
    const terminalId = index + 1;
    const username = String(1000 + terminalId);
    return {
      terminalId,
      userId: terminalId,
      aor: `sip:${username}@${DOMAIN}`,
      username,
      password: terminalPassword(key, username),
      number: username,
    };
  });
}

/**
 * Writes the terminals that this database never got, and notes in `provisioned` how many it has now. They go straight into the
 * site's own table, all in one statement: the view's triggers check each row against all others, which a hundred thousand new
 * ones do not need.
 */
export async function provisionTerminals(
  ownerUrl: string,
  site: string,
  terminals: readonly DemoTerminal[],
  provisioned: Record<string, number>,
): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    const database = await identify(client);
    const fresh = terminals.slice(provisioned[database] ?? 0);
    if (fresh.length > 0) await insertTerminals(client, site, fresh);
    provisioned[database] = Math.max(provisioned[database] ?? 0, terminals.length);
  } finally {
    await client.end();
  }
}

/** The same after a promotion, another one after `initdb` or DROP DATABASE. */
async function identify(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ cluster: string; database: string }>(
    `SELECT system_identifier::text AS cluster, oid::text AS database
       FROM pg_control_system(), pg_database WHERE datname = current_database()`,
  );
  return `${rows[0]?.cluster}/${rows[0]?.database}`;
}

async function insertTerminals(
  client: pg.Client,
  site: string,
  terminals: readonly DemoTerminal[],
): Promise<void> {
  const secrets = terminals.map(({ username, password }) => digestSecrets(username, DOMAIN, password));
  await client.query(
    `INSERT INTO lastcall.${client.escapeIdentifier(`terminals_${site}`)}
       (terminal_id, user_id, username, aor, number, number_id, ha1_md5, ha1_sha256)
     SELECT id, id, name, aor, name, id, md5, sha256
       FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS t (id, name, aor, md5, sha256)
     ON CONFLICT DO NOTHING`,
    [
      terminals.map(({ terminalId }) => terminalId),
      terminals.map(({ username }) => username),
      terminals.map(({ aor }) => aor),
      secrets.map(({ ha1Md5 }) => ha1Md5),
      secrets.map(({ ha1Sha256 }) => ha1Sha256),
    ],
  );
}
