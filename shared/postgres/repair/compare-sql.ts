/** The statements of a comparison. Rows are compared in the columns that both ends have, microseconds included. */
import { rowDigest } from '../kinds/bucket-digests.ts';
import type { Kind, KindColumn } from '../kinds/kind.ts';
import { bucketOf, columnNames, keysIn, keyText, qualified, whereFilter } from '../kinds/kind-sql.ts';

/** One table to compare: an origin's, at both ends. */
export interface ComparedTable {
  readonly kind: Kind;
  readonly table: string;
  /** Without a type where the two ends differ in it. */
  readonly columns: readonly KindColumn[];
}

const rows = ({ kind, table }: ComparedTable): string =>
  `(SELECT * FROM ${qualified(table)}${whereFilter(kind)}) t`;

export const countSql = (compared: ComparedTable): string => `SELECT count(*) AS rows FROM ${rows(compared)}`;

/** Count and checksum of each bucket, independent of the order of rows. */
export const bucketsSql = (compared: ComparedTable, buckets: number): string =>
  `SELECT ${bucketOf(compared.kind, 't', buckets)} AS bucket, count(*) AS rows, bit_xor(${rowDigest(compared.columns)}) AS checksum
   FROM ${rows(compared)} GROUP BY 1`;

/** $1: buckets, a JSON array. */
export const rowsOfBucketsSql = (compared: ComparedTable, buckets: number): string =>
  `SELECT ${keyText(compared.kind, 't')} AS key, ${rowDigest(compared.columns)} AS digest FROM ${rows(compared)}
   WHERE ${bucketOf(compared.kind, 't', buckets)} IN (SELECT b::bigint FROM jsonb_array_elements_text($1::jsonb) b)`;

/** $1: keys, a JSON array. */
export const rowsOfKeysSql = (compared: ComparedTable): string =>
  `SELECT ${keyText(compared.kind, 't')} AS key, ${rowDigest(compared.columns)} AS digest
   FROM ${keysIn(compared.kind, '$1')} k JOIN ${rows(compared)} USING (${columnNames(compared.kind.key)})`;

/** $1: keys. JSON carries bigints, microseconds and infinities exactly, as text. */
export const readRowsSql = (compared: ComparedTable): string =>
  `SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]')::text AS rows
   FROM ${keysIn(compared.kind, '$1')} k JOIN ${rows(compared)} USING (${columnNames(compared.kind.key)})`;

/** $1: keys. */
export const deleteRowsSql = ({ kind, table }: ComparedTable): string =>
  `DELETE FROM ${qualified(table)} WHERE (${columnNames(kind.key)}) IN (SELECT ${columnNames(kind.key)} FROM ${keysIn(kind, '$1')} k)`;

/** $1: rows. */
export const insertRowsSql = ({ table, columns }: ComparedTable): string => {
  const names = columnNames(columns.map(({ name }) => name));
  return `INSERT INTO ${qualified(table)} (${names}) SELECT ${names} FROM jsonb_populate_recordset(NULL::${qualified(table)}, $1::jsonb)`;
};
