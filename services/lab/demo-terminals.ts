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
 * Writes terminals straight into the site's own table, as its owner and all in one statement: the view's triggers check each
 * row against all others, which a hundred thousand new ones do not need. One that is there already stays as it is.
 */
export async function provisionTerminals(
  ownerUrl: string,
  site: string,
  terminals: readonly DemoTerminal[],
): Promise<void> {
  if (terminals.length === 0) return;
  const secrets = terminals.map(({ username, password }) => digestSecrets(username, DOMAIN, password));
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
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
  } finally {
    await client.end();
  }
}
