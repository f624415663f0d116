import type { Feature } from '../../shared/domain/feature-code.ts';
import { digestSecrets } from '../../shared/postgres/terminals.ts';
import { query, type SiteDatabase } from './replication-pair.ts';

export const DOMAIN = 'lastcall.test';
export const passwordOf = (username: string): string => `secret-${username}`;

export interface NewTerminal {
  readonly terminalId: number;
  readonly number: string;
  readonly features?: readonly Feature[];
  readonly enabled?: boolean;
}

/** Terminals written straight into the site's own table, as provisioning leaves them. */
export async function provision(database: SiteDatabase, terminals: readonly NewTerminal[]): Promise<void> {
  for (const { terminalId, number, features = ['redial', 'return'], enabled = true } of terminals) {
    const { ha1Md5, ha1Sha256 } = digestSecrets(number, DOMAIN, passwordOf(number));
    await query(
      database.owner,
      `INSERT INTO lastcall.terminals_${database.site}
         (terminal_id, user_id, username, aor, ha1_md5, ha1_sha256, number, number_id, features, enabled)
       VALUES ($1, $2, $3, $4, $5, $6, $3, $7, $8, $9)
       ON CONFLICT (terminal_id) DO UPDATE SET features = excluded.features, enabled = excluded.enabled, updated_at = clock_timestamp()`,
      [
        terminalId,
        terminalId * 10,
        number,
        `sip:${number}@${DOMAIN}`,
        ha1Md5,
        ha1Sha256,
        terminalId * 100,
        features,
        enabled,
      ],
    );
  }
}
