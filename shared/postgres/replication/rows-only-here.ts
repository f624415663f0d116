import type { Connection } from '../wire/connection.ts';
import { quoteIdentifier } from '../wire/quoting.ts';

/** The copy holds rows newer than its origin's, which a swap would lose. The coordinator's salvage merges them back. */
export class RowsOnlyHere extends Error {
  override readonly name = 'RowsOnlyHere';
  readonly count: number;

  constructor(peer: string, count: number) {
    super(
      `${count} rows of ${peer} are newer here than at ${peer}: they wait for the coordinator's salvage, or for a resync on request`,
    );
    this.count = count;
  }
}

/** How many rows of the copies are newer than what was copied into staging, and not forgotten. */
export async function countRowsOnlyHere(subscriber: Connection, peer: string): Promise<number> {
  const table = (name: string): string => `lastcall.${quoteIdentifier(`${name}_${peer}`)}`;
  const unforgotten = (date: string, scopes: string): string => `NOT EXISTS (
    SELECT FROM (SELECT terminal_id, scope, forgotten_at FROM lastcall.forgotten_by_site
      UNION ALL SELECT terminal_id, scope, forgotten_at FROM ${table('staging_forgotten')}) f
    WHERE f.terminal_id = c.terminal_id AND f.scope IN ('terminal', ${scopes}) AND f.forgotten_at >= ${date})`;
  const newer = (column: string, scopes: string): string =>
    `(c.${column} > coalesce(s.${column}, '-infinity') AND ${unforgotten(`c.${column}`, scopes)})`;
  const groups = ['dialed', 'received', 'terminated'].map((group) =>
    newer(`last_${group}_date`, `'all', '${group}'`),
  );
  const [result] = await subscriber.simple(`SELECT
    (SELECT count(*) FROM ${table('lastcalls')} c LEFT JOIN ${table('staging_lastcalls')} s USING (terminal_id)
      WHERE ${groups.join(' OR ')})
    + (SELECT count(*) FROM ${table('terminals')} c LEFT JOIN ${table('staging_terminals')} s USING (terminal_id)
      WHERE ${newer('updated_at', `'terminal'`)})
    -- A missing old mark was collected at the origin; a missing newest one was lost.
    + (SELECT count(*) FROM ${table('forgotten')} c WHERE c.forgotten_at >
        (SELECT coalesce(max(forgotten_at), '-infinity') FROM ${table('staging_forgotten')})) AS count`);
  return Number(result?.rows[0]?.['count'] ?? 0);
}
