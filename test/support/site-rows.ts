import { expectCopiesEqualOrigins } from './invariants.ts';
import { query, type SiteDatabase } from './replication-pair.ts';
import type { CallSites } from './sip-phone-sites.ts';
import { waitFor } from './wait-for.ts';

/** One site's own row of a terminal; undefined without one. */
export function ownRow(
  database: SiteDatabase,
  terminalId: number,
): Promise<Record<string, unknown> | undefined> {
  return rowOf(database, terminalId, database.site);
}

async function rowOf(
  database: SiteDatabase,
  terminalId: number,
  origin: string,
): Promise<Record<string, unknown> | undefined> {
  const table = `lastcall.lastcalls_${origin}`;
  const [row] = await query(database.owner, `SELECT * FROM ${table} WHERE terminal_id = $1`, [terminalId]);
  return row;
}

/** Waits until the terminal's row in that database, its site's own one or the copy of `origin`'s, holds these columns. */
export function untilRow(
  database: SiteDatabase,
  terminalId: number,
  columns: Readonly<Record<string, unknown>>,
  origin: string = database.site,
): Promise<Record<string, unknown>> {
  return waitFor(
    async () => {
      const row = await rowOf(database, terminalId, origin);
      const holds = Object.entries(columns).every(([name, value]) => String(row?.[name]) === String(value));
      if (!holds) throw new Error(`row is ${JSON.stringify(row)}`);
      return row;
    },
    { what: `${JSON.stringify(columns)} of terminal ${terminalId} of ${origin} at ${database.site}` },
  );
}

/** Writes a terminal's row at its own site, e.g. to start a test from a known call. */
export async function writeRow(
  database: SiteDatabase,
  terminalId: number,
  columns: Readonly<Record<string, unknown>>,
): Promise<void> {
  const names = Object.keys(columns);
  await query(
    database.owner,
    `INSERT INTO lastcall.lastcalls_${database.site} (terminal_id, ${names.join(', ')})
     VALUES ($1, ${names.map((_, index) => `$${index + 2}`).join(', ')})`,
    [terminalId, ...Object.values(columns)],
  );
}

/** Forgets every last call at both sites, marks included, in the copies as well. */
export async function clearLastCalls(sites: CallSites): Promise<void> {
  const both = Object.values(sites.databases);
  for (const { owner, site } of both) {
    const written = sites.replicates ? [site] : ['a', 'b'];
    const tables = written.flatMap((name) => [`lastcall.lastcalls_${name}`, `lastcall.marks_${name}`]);
    await query(owner, `TRUNCATE ${tables.join(', ')}`);
  }
  if (sites.replicates) await expectCopiesEqualOrigins(both);
}
