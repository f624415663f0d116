import {
  GROUP_NAMES,
  type GroupName,
  type LastCalls,
  REPORT_KEY_LENGTH,
  REPORTS_KEPT,
} from '../../domain/last-calls.ts';
import { formatTimestamptz, type Micros } from '../../domain/micros.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Queryable } from '../database.ts';
import { type Column, DATE_COLUMN, LAST_CALLS_COLUMNS } from './last-calls-columns.ts';

/**
 * How a record is dated. `live`: R13, later than everything known here when it was made, forget marks included, so that no
 * slow clock hides it; it loses to what came while it waited. `as-recorded`: its own date, for the journal (R12); what is older than the table or than a mark changes nothing,
 * so a replay is harmless.
 */
export type Dating = 'live' | 'as-recorded';

/** Of the keys and the spaces between them, the newest first. */
const REPORTS_LENGTH = REPORTS_KEPT * (REPORT_KEY_LENGTH + 1) - 1;

const statements = new Map<string, string>();

/**
 * Writes each terminal's row into the site's own table. One statement, rows in key order so that two writers cannot
 * deadlock; `rows` must hold a terminal once. `clock` dated them: how long each has waited when it is sent is told by that
 * clock, however wrong it goes; null when none has. A removed terminal has no records (S3). Durable when it resolves.
 */
export async function recordCalls(
  database: Queryable,
  site: string,
  rows: readonly LastCalls[],
  dating: Dating,
  budgetMs?: number,
  clock: Clock | null = null,
): Promise<void> {
  const key = `${site}/${dating}`;
  const text = statements.get(key) ?? recordStatement(site, dating);
  statements.set(key, text);
  const values: unknown[] = LAST_CALLS_COLUMNS.map((column) => rows.map((row) => parameter(column, row)));
  // Not before there is a connection to send it on: the wait for one counts.
  const sent = () => [...values, clock === null ? null : formatTimestamptz(clock())];
  await database.query(text, dating === 'live' ? sent : values, budgetMs);
}

/** A NUL is the one character that PostgreSQL's text cannot hold, and `%00` in a SIP URI brings one. */
function parameter(column: Column, row: LastCalls): string | number | null {
  const value = column.read(row);
  if (column.type === 'timestamptz' && value !== null) return formatTimestamptz(value as Micros);
  return typeof value === 'string' ? value.replaceAll('\0', '') : value;
}

function recordStatement(site: string, dating: Dating): string {
  const names = LAST_CALLS_COLUMNS.map((column) => column.name);
  const arrays = LAST_CALLS_COLUMNS.map((column, index) => `$${index + 1}::${column.type}[]`);
  const merged = LAST_CALLS_COLUMNS.filter((column) => column.name !== 'terminal_id').map((column) =>
    mergedColumn(column, dating),
  );
  const anyDate = GROUP_NAMES.map((group) => `d.${group}_at IS NOT NULL`).join(' OR ');
  return `
    WITH incoming AS (SELECT * FROM unnest(${arrays.join(', ')}) AS i (${names.join(', ')})),
    known AS (
      SELECT terminal_id, ${GROUP_NAMES.map((group) => `max(${DATE_COLUMN[group]}) AS ${group}`).join(', ')}
      FROM lastcall.lastcalls_by_site WHERE terminal_id = ANY($1::bigint[]) GROUP BY terminal_id
    ),
    mark AS (
      SELECT key::bigint AS terminal_id, ${GROUP_NAMES.map(markOf).join(', ')},
        max(forgotten_at) FILTER (WHERE kind = 'terminals') AS removed
      FROM lastcall.marks_by_site
      WHERE key = ANY($1::bigint[]::text[]) AND kind IN ('lastcalls', 'terminals') GROUP BY key
    ),
    d AS (
      SELECT i.*, ${GROUP_NAMES.map((group) => `${dateOf(group, dating)} AS ${group}_at`).join(', ')},
        mark.removed IS NOT NULL AND NOT EXISTS (
          SELECT FROM lastcall.terminals_by_site t
          WHERE t.terminal_id = i.terminal_id AND t.updated_at > mark.removed) AS removed
      FROM incoming i LEFT JOIN known USING (terminal_id) LEFT JOIN mark USING (terminal_id)
    )
    INSERT INTO lastcall.lastcalls_${site} AS t (${names.join(', ')})
    SELECT ${LAST_CALLS_COLUMNS.map(datedColumn).join(', ')} FROM d
    WHERE NOT d.removed AND (${anyDate} OR d.last_term_call_trace_date IS NOT NULL) ORDER BY d.terminal_id
    ON CONFLICT (terminal_id) DO UPDATE SET ${merged.join(', ')}`;
}

function markOf(group: GroupName): string {
  return `max(forgotten_at) FILTER (WHERE scope IN ('all', '${group}')) AS ${group}`;
}

function dateOf(group: GroupName, dating: Dating): string {
  const date = `i.${DATE_COLUMN[group]}`;
  const mark = `mark.${group}`;
  if (dating === 'as-recorded') return `CASE WHEN ${date} > coalesce(${mark}, '-infinity') THEN ${date} END`;
  const waited = `coalesce($${LAST_CALLS_COLUMNS.length + 1}::timestamptz - ${date}, '0')`;
  // Between the two: made by a clock like ours, while the record was waiting. Anything else newer is of a clock that is ahead.
  const late = (known: string) =>
    `(${date} <= ${known} AND ${known} > statement_timestamp() - ${waited} AND ${known} <= statement_timestamp())`;
  const after = (known: string) => `lastcall.later_than(${known})`;
  const known = `known.${group}`;
  return `CASE WHEN ${date} IS NOT NULL AND ${late(mark)} IS NOT TRUE AND ${late(known)} IS NOT TRUE
    THEN greatest(${date}, ${after(known)}, ${after(mark)}) END`;
}

function datedColumn(column: Column): string {
  if (column.name === 'last_term_unknown_pai_date') return unknownPai();
  if (column.group === null) return `d.${column.name}`;
  if (column.name === DATE_COLUMN[column.group]) return `d.${column.group}_at`;
  return `CASE WHEN d.${column.group}_at IS NOT NULL THEN d.${column.name} END`;
}

/** The unknown-caller date equals its group's date (R7), also when that one was moved. */
function unknownPai(): string {
  const moved = (['received', 'terminated'] as const).map(
    (group) => `WHEN d.last_term_unknown_pai_date = d.${DATE_COLUMN[group]} THEN d.${group}_at`,
  );
  return `CASE ${moved.join(' ')} ELSE d.last_term_unknown_pai_date END`;
}

/**
 * The row that stands may be newer than the one this statement's snapshot saw: another writer was faster. `live` goes
 * behind it (R13), `as-recorded` gives way to it.
 */
function mergedColumn(column: Column, dating: Dating): string {
  const { name, group } = column;
  if (name === 'user_id') return 'user_id = coalesce(excluded.user_id, t.user_id)';
  if (name === 'last_term_unknown_pai_date')
    return `${name} = greatest(t.${name}, ${standingUnknownPai(dating)})`;
  if (name === 'reported_calls')
    return `${name} = CASE WHEN strpos(t.${name}, excluded.${name}) > 0 OR excluded.${name} IS NULL THEN t.${name}
      ELSE left(concat_ws(' ', excluded.${name}, t.${name}), ${REPORTS_LENGTH}) END`;
  if (group === null) return `${name} = greatest(t.${name}, excluded.${name})`;
  const date = DATE_COLUMN[group];
  const taken =
    dating === 'live'
      ? `excluded.${date} IS NOT NULL`
      : `excluded.${date} > coalesce(t.${date}, '-infinity')`;
  const value = name === date ? standingDate(group, dating) : `excluded.${name}`;
  return `${name} = CASE WHEN ${taken} THEN ${value} ELSE t.${name} END`;
}

function standingDate(group: GroupName, dating: Dating): string {
  const date = DATE_COLUMN[group];
  return dating === 'live'
    ? `greatest(excluded.${date}, t.${date} + interval '1 microsecond')`
    : `excluded.${date}`;
}

function standingUnknownPai(dating: Dating): string {
  const moved = (['received', 'terminated'] as const).map(
    (group) =>
      `WHEN excluded.last_term_unknown_pai_date = excluded.${DATE_COLUMN[group]} THEN ${standingDate(group, dating)}`,
  );
  return `CASE ${moved.join(' ')} ELSE excluded.last_term_unknown_pai_date END`;
}
