import type { ForgetMark, ForgetScope } from '../domain/forget.ts';
import type { Source } from '../domain/choose-freshest.ts';
import type { LastCalls } from '../domain/last-calls.ts';
import type { Micros } from '../domain/micros.ts';
import type { Queryable } from './database.ts';
import { LAST_CALLS_COLUMNS, type LastCallsRecord, toLastCalls } from './last-calls-columns.ts';

/** What the tables say about one terminal: every site's row, and every forget mark. */
export interface KnownLastCalls {
  readonly sources: readonly Source[];
  readonly marks: readonly ForgetMark[];
}

const COLUMNS = LAST_CALLS_COLUMNS.map((column) => column.name);
const NULLS = LAST_CALLS_COLUMNS.slice(1).map((column) => `NULL::${column.type}`);

const READ_ALL = `
  SELECT site, ${COLUMNS.join(', ')}, NULL::text AS scope, NULL::timestamptz AS forgotten_at
  FROM lastcall.lastcalls_by_site WHERE terminal_id = ANY($1::bigint[])
  UNION ALL
  SELECT site, terminal_id, ${NULLS.join(', ')}, scope, forgotten_at
  FROM lastcall.forgotten_by_site WHERE terminal_id = ANY($1::bigint[])`;

/** Every `lastcalls_<site>` table and every mark, for many terminals in one statement. Each id asked for is in the result. */
export async function readLastCalls(
  database: Queryable,
  terminalIds: readonly number[],
  budgetMs: number,
): Promise<Map<number, KnownLastCalls>> {
  const records = await database.query<LastCallsRecord>(READ_ALL, [terminalIds], budgetMs);
  const known = new Map(terminalIds.map((id) => [id, { sources: [] as Source[], marks: [] as ForgetMark[] }]));
  for (const record of records) {
    const entry = known.get(Number(record['terminal_id']));
    if (!entry) continue;
    if (record['scope'] === null) entry.sources.push({ site: String(record['site']), row: toLastCalls(record) });
    else entry.marks.push({ scope: record['scope'] as ForgetScope, forgottenAt: record['forgotten_at'] as Micros });
  }
  return known;
}

/** One site's table alone, for when not all can be read (C6). `site` must come from {@link readSites}. */
export async function readOneSite(
  database: Queryable,
  site: string,
  terminalIds: readonly number[],
  budgetMs: number,
): Promise<Map<number, LastCalls>> {
  const text = `SELECT ${COLUMNS.join(', ')} FROM lastcall.lastcalls_${site} WHERE terminal_id = ANY($1::bigint[])`;
  const records = await database.query<LastCallsRecord>(text, [terminalIds], budgetMs);
  return new Map(records.map((record) => [Number(record['terminal_id']), toLastCalls(record)]));
}

export async function readMarks(
  database: Queryable,
  terminalIds: readonly number[],
  budgetMs: number,
): Promise<Map<number, ForgetMark[]>> {
  const rows = await database.query<{ terminal_id: number; scope: ForgetScope; forgotten_at: Micros }>(
    'SELECT terminal_id, scope, forgotten_at FROM lastcall.forgotten_by_site WHERE terminal_id = ANY($1::bigint[])',
    [terminalIds],
    budgetMs,
  );
  const marks = new Map<number, ForgetMark[]>();
  for (const row of rows) {
    const list = marks.get(row.terminal_id) ?? [];
    list.push({ scope: row.scope, forgottenAt: row.forgotten_at });
    marks.set(row.terminal_id, list);
  }
  return marks;
}

export async function readSites(database: Queryable): Promise<{ site: string; own: boolean }[]> {
  return database.query<{ site: string; own: boolean }>('SELECT site, own FROM lastcall.sites ORDER BY site');
}
