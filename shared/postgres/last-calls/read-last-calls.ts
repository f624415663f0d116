import type { Source } from '../../domain/choose-freshest.ts';
import type { ForgetMark, ForgetScope } from '../../domain/forget.ts';
import type { Micros } from '../../domain/micros.ts';
import type { Queryable } from '../database.ts';
import { LAST_CALLS_COLUMNS, type LastCallsRecord, toLastCalls } from './last-calls-columns.ts';

/** What the tables say about one terminal: every site's row, and every forget mark. */
export interface KnownLastCalls {
  readonly sources: readonly Source[];
  readonly marks: readonly ForgetMark[];
}

const COLUMNS = LAST_CALLS_COLUMNS.map((column) => column.name);
const NULLS = LAST_CALLS_COLUMNS.slice(1).map((column) => `NULL::${column.type}`);

/** A removal reaches whatever its date: without newer provisioning there is nothing that it spares (S3). */
const REACH = `CASE WHEN kind = 'terminals' AND NOT EXISTS (
    SELECT FROM lastcall.terminals_by_site t WHERE t.terminal_id = key::bigint AND t.updated_at > forgotten_at)
  THEN 'infinity' ELSE forgotten_at END`;

const READ_ALL = statement('site', 'lastcalls_by_site', 'marks_by_site', REACH);

function statement(site: string, lastcalls: string, marks: string, until: string): string {
  return `
  SELECT ${site} AS site, ${COLUMNS.join(', ')}, NULL::text AS scope, NULL::timestamptz AS forgotten_at
  FROM lastcall.${lastcalls} WHERE terminal_id = ANY($1::bigint[])
  UNION ALL
  SELECT ${site}, key::bigint, ${NULLS.join(', ')}, CASE kind WHEN 'terminals' THEN 'terminal' ELSE scope END, ${until}
  FROM lastcall.${marks} WHERE key = ANY($1::bigint[]::text[]) AND kind IN ('lastcalls', 'terminals')`;
}

/** Every `lastcalls_<site>` table and every mark, for many terminals in one statement. Each id asked for is in the result. */
export function readLastCalls(
  database: Queryable,
  terminalIds: readonly number[],
  budgetMs: number,
): Promise<Map<number, KnownLastCalls>> {
  return read(database, READ_ALL, terminalIds, budgetMs);
}

/** One site's table and marks alone, for when not all can be read (C6): a removal then reaches as far as its date. `site` must come from {@link readSites}. */
export function readOneSite(
  database: Queryable,
  site: string,
  terminalIds: readonly number[],
  budgetMs: number,
): Promise<Map<number, KnownLastCalls>> {
  const text = statement(`'${site}'`, `lastcalls_${site}`, `marks_${site}`, 'forgotten_at');
  return read(database, text, terminalIds, budgetMs);
}

async function read(
  database: Queryable,
  text: string,
  terminalIds: readonly number[],
  budgetMs: number,
): Promise<Map<number, KnownLastCalls>> {
  const records = await database.query<LastCallsRecord>(text, [terminalIds], budgetMs);
  const known = new Map(
    terminalIds.map((id) => [id, { sources: [] as Source[], marks: [] as ForgetMark[] }]),
  );
  for (const record of records) {
    const entry = known.get(Number(record['terminal_id']));
    if (!entry) continue;
    if (record['scope'] === null)
      entry.sources.push({ site: String(record['site']), row: toLastCalls(record) });
    else
      entry.marks.push({
        scope: record['scope'] as ForgetScope,
        forgottenAt: record['forgotten_at'] as Micros,
      });
  }
  return known;
}

export function readSites(database: Queryable, budgetMs?: number): Promise<{ site: string; own: boolean }[]> {
  const text = 'SELECT site, own FROM lastcall.sites ORDER BY site';
  return database.query<{ site: string; own: boolean }>(text, [], budgetMs);
}
