import { GROUP_NAMES, type GroupName, type LastCalls } from '../domain/last-calls.ts';
import { formatTimestamptz, type Micros } from '../domain/micros.ts';
import type { Queryable } from './database.ts';
import { type Column, DATE_COLUMN, LAST_CALLS_COLUMNS } from './last-calls-columns.ts';

/**
 * How a record is dated. `live`: R13, later than everything known here, forget marks included. `as-recorded`: its own
 * date, for the journal (R12); what is older than the table or than a mark changes nothing, so a replay is harmless.
 */
export type Dating = 'live' | 'as-recorded';

const statements = new Map<string, string>();

/**
 * Writes each terminal's row into the site's own table, per group only when newer. One statement, rows in key order so
 * that two writers cannot deadlock; `rows` must hold a terminal once. Durable when it resolves.
 */
export async function recordCalls(
  database: Queryable,
  site: string,
  rows: readonly LastCalls[],
  dating: Dating,
  budgetMs?: number,
): Promise<void> {
  const key = `${site}/${dating}`;
  const text = statements.get(key) ?? recordStatement(site, dating);
  statements.set(key, text);
  const values = LAST_CALLS_COLUMNS.map((column) => rows.map((row) => parameter(column, row)));
  await database.query(text, values, budgetMs);
}

function parameter(column: Column, row: LastCalls): string | number | null {
  const value = column.read(row);
  return column.type === 'timestamptz' && value !== null ? formatTimestamptz(value as Micros) : value;
}

function recordStatement(site: string, dating: Dating): string {
  const names = LAST_CALLS_COLUMNS.map((column) => column.name);
  const arrays = LAST_CALLS_COLUMNS.map((column, index) => `$${index + 1}::${column.type}[]`);
  const dated = LAST_CALLS_COLUMNS.map((column) => datedColumn(column, dating));
  const merged = LAST_CALLS_COLUMNS.filter((column) => column.name !== 'terminal_id').map(mergedColumn);
  const anyDate = GROUP_NAMES.map((group) => `d.${DATE_COLUMN[group]} IS NOT NULL`).join(' OR ');
  return `
    WITH incoming AS (SELECT * FROM unnest(${arrays.join(', ')}) AS i (${names.join(', ')})),
    known AS (
      SELECT terminal_id, ${GROUP_NAMES.map((group) => `max(${DATE_COLUMN[group]}) AS ${group}`).join(', ')}
      FROM lastcall.lastcalls_by_site WHERE terminal_id = ANY($1::bigint[]) GROUP BY terminal_id
    ),
    mark AS (
      SELECT terminal_id, ${GROUP_NAMES.map(markOf).join(', ')}
      FROM lastcall.forgotten_by_site WHERE terminal_id = ANY($1::bigint[]) GROUP BY terminal_id
    ),
    d AS (
      SELECT ${dated.join(', ')}
      FROM incoming i LEFT JOIN known USING (terminal_id) LEFT JOIN mark USING (terminal_id)
    )
    INSERT INTO lastcall.lastcalls_${site} AS t (${names.join(', ')})
    SELECT ${names.map((name) => `d.${name}`).join(', ')} FROM d
    WHERE ${anyDate} OR d.last_term_call_trace_date IS NOT NULL ORDER BY d.terminal_id
    ON CONFLICT (terminal_id) DO UPDATE SET ${merged.join(', ')}`;
}

function markOf(group: GroupName): string {
  return `max(forgotten_at) FILTER (WHERE scope IN ('terminal', 'all', '${group}')) AS ${group}`;
}

function datedColumn(column: Column, dating: Dating): string {
  if (column.name === 'terminal_id') return 'i.terminal_id';
  if (column.name === 'last_term_unknown_pai_date') return unknownPai(dating);
  if (column.group === null) return `i.${column.name}`;
  const date = DATE_COLUMN[column.group];
  if (column.name === date) return `${dateOf(column.group, dating)} AS ${date}`;
  if (dating === 'live') return `i.${column.name}`;
  return `CASE WHEN i.${date} > coalesce(mark.${column.group}, '-infinity') THEN i.${column.name} END AS ${column.name}`;
}

function dateOf(group: GroupName, dating: Dating): string {
  const date = `i.${DATE_COLUMN[group]}`;
  if (dating === 'as-recorded') return `CASE WHEN ${date} > coalesce(mark.${group}, '-infinity') THEN ${date} END`;
  const after = (known: string) => `${known} + interval '1 microsecond'`;
  return `CASE WHEN ${date} IS NOT NULL THEN greatest(${date}, ${after(`known.${group}`)}, ${after(`mark.${group}`)}) END`;
}

/** The unknown-caller date equals its group's date (R7), also when that one was moved. */
function unknownPai(dating: Dating): string {
  const moved = (['received', 'terminated'] as const).map(
    (group) => `WHEN i.last_term_unknown_pai_date = i.${DATE_COLUMN[group]} THEN ${dateOf(group, dating)}`,
  );
  return `CASE ${moved.join(' ')} ELSE i.last_term_unknown_pai_date END AS last_term_unknown_pai_date`;
}

function mergedColumn(column: Column): string {
  if (column.name === 'user_id') return 'user_id = coalesce(excluded.user_id, t.user_id)';
  if (column.group === null) return `${column.name} = greatest(t.${column.name}, excluded.${column.name})`;
  const date = DATE_COLUMN[column.group];
  const newer = `excluded.${date} > coalesce(t.${date}, '-infinity')`;
  return `${column.name} = CASE WHEN ${newer} THEN excluded.${column.name} ELSE t.${column.name} END`;
}
