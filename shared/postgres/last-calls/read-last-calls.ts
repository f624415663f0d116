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

const READ_ALL = statement('site', 'lastcalls_by_site', 'forgotten_by_site');

function statement(site: string, lastcalls: string, forgotten: string): string {
  return `
  SELECT ${site} AS site, ${COLUMNS.join(', ')}, NULL::text AS scope, NULL::timestamptz AS forgotten_at
  FROM lastcall.${lastcalls} WHERE terminal_id = ANY($1::bigint[])
  UNION ALL
  SELECT ${site}, terminal_id, ${NULLS.join(', ')}, scope, forgotten_at
  FROM lastcall.${forgotten} WHERE terminal_id = ANY($1::bigint[])`;
}

/** Every `lastcalls_<site>` table and every mark, for many terminals in one statement. Each id asked for is in the result. */
export function readLastCalls(
  database: Queryable,
  terminalIds: readonly number[],
  budgetMs: number,
): Promise<Map<number, KnownLastCalls>> {
  return read(database, READ_ALL, terminalIds, budgetMs);
}

/** One site's table and marks alone, for when not all can be read (C6). `site` must come from {@link readSites}. */
export function readOneSite(
  database: Queryable,
  site: string,
  terminalIds: readonly number[],
  budgetMs: number,
): Promise<Map<number, KnownLastCalls>> {
  const text = statement(`'${site}'`, `lastcalls_${site}`, `forgotten_${site}`);
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
