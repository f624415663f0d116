import { quoteIdentifier } from '../wire/quoting.ts';
/** The statements of a comparison. Rows are compared as the text of the origin's columns, in its order, microseconds included. */

export type ComparedKind = 'lastcalls' | 'terminals' | 'forgotten';
export const COMPARED_KINDS: readonly ComparedKind[] = ['lastcalls', 'terminals', 'forgotten'];

/** Rows of one range: small enough to list, large enough that a million rows are some hundred ranges. */
const RANGE_ROWS = 2_000;

const at = (table: string): string => `lastcall.${quoteIdentifier(table)}`;
const digest = (columns: readonly string[]): string =>
  `hashtextextended(ROW(${columns.map(quoteIdentifier).join(', ')})::text, 0)`;
const keyOf = (table: string): string =>
  table.startsWith('forgotten_') ? `terminal_id || ':' || scope` : 'terminal_id::text';

export const columnsSql = (table: string): string =>
  `SELECT attname FROM pg_attribute WHERE attrelid = '${at(table)}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`;

/** The lowest terminal of each range, from the origin; both ends cut at the same places. */
export const boundariesSql = (table: string): string =>
  `SELECT coalesce(array_agg(terminal_id ORDER BY terminal_id), '{}')::text AS boundaries FROM (
     SELECT terminal_id, row_number() OVER (ORDER BY terminal_id) AS n FROM ${at(table)}) t WHERE n % ${RANGE_ROWS} = 1`;

/** $1: boundaries. Count and checksum of each range, independent of the order of rows. */
export const rangesSql = (table: string, columns: readonly string[]): string =>
  `SELECT ${rangeOf('$1')} AS range, count(*) AS rows, sum(${digest(columns)}) AS checksum FROM ${at(table)} GROUP BY 1`;

/** $1: boundaries, $2: ranges. */
export const rowsOfRangesSql = (table: string, columns: readonly string[]): string =>
  `SELECT ${keyOf(table)} AS key, ${digest(columns)} AS digest FROM ${at(table)} WHERE ${rangeOf('$1')} = ANY ($2::integer[])`;

const rangeOf = (boundaries: string): string =>
  `CASE WHEN ${boundaries}::bigint[] = '{}' THEN 0 ELSE width_bucket(terminal_id, ${boundaries}::bigint[]) END`;

/** $1: terminals, $2: keys. */
export const rowsOfKeysSql = (table: string, columns: readonly string[]): string =>
  `SELECT ${keyOf(table)} AS key, ${digest(columns)} AS digest FROM ${at(table)}
   WHERE terminal_id = ANY ($1::bigint[]) AND ${keyOf(table)} = ANY ($2::text[])`;

/** $1: terminals, $2: keys. JSON carries bigints, microseconds and infinities exactly, as text. */
export const readRowsSql = (table: string): string =>
  `SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]')::text AS rows FROM ${at(table)} t
   WHERE terminal_id = ANY ($1::bigint[]) AND ${keyOf(table)} = ANY ($2::text[])`;

export const deleteRowsSql = (table: string): string =>
  `DELETE FROM ${at(table)} WHERE terminal_id = ANY ($1::bigint[]) AND ${keyOf(table)} = ANY ($2::text[])`;

export const insertRowsSql = (table: string, columns: readonly string[]): string => {
  const names = columns.map(quoteIdentifier).join(', ');
  return `INSERT INTO ${at(table)} (${names}) SELECT ${names} FROM jsonb_populate_recordset(NULL::${at(table)}, $1::jsonb)`;
};

/** The terminals of keys as they come from {@link keyOf}. */
export const terminalsOf = (keys: readonly string[]): string =>
  arrayLiteral(keys.map((key) => key.split(':')[0] ?? ''));

/** Keys are digits, a colon and a scope: nothing in them needs quoting. */
export const arrayLiteral = (values: readonly string[]): string => `{${values.join(',')}}`;
