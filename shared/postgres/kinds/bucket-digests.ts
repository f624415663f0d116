/**
 * Where two tables of one kind differ, without moving their rows: both ends compute checksums of buckets of keys at once.
 * A million rows take each server about a second, a few differing ones leave all other buckets alone.
 */
import type { Connection } from '../wire/connection.ts';
import { quoteIdentifier } from '../wire/quoting.ts';
import type { Kind, KindColumn } from './kind.ts';
import { bucketCount, bucketOf, qualified, whereFilter } from './kind-sql.ts';

/** Neighbours that travel together. */
const BUCKET_ROWS = 64;
/** About so many, with room for updates: to count them would take as long as a tenth of the checksums. */
const ROW_BYTES = 160;

export interface Buckets {
  readonly kind: Kind;
  /** How many there are. */
  readonly count: number;
  /** Those whose rows differ. */
  readonly differing: readonly string[];
}

/** `digest`: SQL of a row `t`, the same at both ends. */
export async function findDifferingBuckets(
  ends: readonly [Connection, Connection],
  { kind, table, digest }: { readonly kind: Kind; readonly table: string; readonly digest: string },
): Promise<Buckets> {
  const [measured] = await ends[0].simple(
    `SELECT pg_relation_size('${qualified(table)}') / ${ROW_BYTES} AS rows`,
  );
  const count = bucketCount(Number(measured?.rows[0]?.['rows'] ?? 0), BUCKET_ROWS);
  // As the planner sees it there are as many buckets as rows: it would sort a million of them.
  const sql = `SELECT set_config('enable_sort', 'off', true);
    SELECT ${bucketOf(kind, 't', count)} AS bucket, bit_xor(${digest}) AS digest
    FROM ${qualified(table)} t${whereFilter(kind)} GROUP BY 1`;
  const [left, right] = (await Promise.all(
    ends.map(async (end) => {
      const [, result] = await end.simple(sql);
      return new Map((result?.rows ?? []).map((row) => [row['bucket'] ?? '', row['digest']]));
    }),
  )) as [Map<string, unknown>, Map<string, unknown>];
  const differing = [...left].filter(([bucket, found]) => right.get(bucket) !== found);
  const missing = [...right.keys()].filter((bucket) => !left.has(bucket));
  return { kind, count, differing: [...differing.map(([bucket]) => bucket), ...missing] };
}

/** SQL: whether row `t` is in one of the differing buckets. */
export const inDifferingBuckets = ({ kind, count, differing }: Buckets): string =>
  `${bucketOf(kind, 't', count)} = ANY ('{${differing.join(',')}}'::bigint[])`;

/** SQL: a checksum of these columns of row `t`. Equal values of other types may still look different: those count as text. */
export function rowDigest(columns: readonly KindColumn[]): string {
  const values = columns.map(({ name, type }) => {
    const value = `t.${quoteIdentifier(name)}`;
    return EQUAL_LOOK_EQUAL.test(type) ? value : `${value}::text`;
  });
  return `hash_record_extended(ROW(${values.join(', ')}), 0)`;
}

const EQUAL_LOOK_EQUAL =
  /^(smallint|integer|bigint|boolean|text|uuid|bytea|date|character varying.*|timestamp.*)$/;
