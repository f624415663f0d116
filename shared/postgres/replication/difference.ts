/**
 * A copy that is mostly right: only what differs from the origin's snapshot is fetched, and replaces the rows here in the
 * transaction that makes the rest visible. Nothing is locked that a reader waits for, and no other direction has a
 * million rows of staging tables to decode.
 */
import { findDifferingBuckets, inDifferingBuckets, rowDigest } from '../kinds/bucket-digests.ts';
import { columnNames, qualified, whereFilter } from '../kinds/kind-sql.ts';
import type { Connection } from '../wire/connection.ts';
import { pipeCopy } from '../wire/copy-pipe.ts';
import type { CopyTable } from './table-layout.ts';

/** Of smaller copies all travels: there is nothing to save. */
const LEAST_ROWS = 5_000;
/** Of more differing buckets than one in so many all travels. */
const MOST_DIFFERING = 2;

/** What stands in temporary tables of the subscriber's session until it is merged. */
export interface Difference {
  readonly copy: CopyTable;
  /** That came from the origin. */
  readonly rows: number;
}

/**
 * Fetches the rows in which the copy differs from what `reader` sees; null when all of it should travel. Nobody may write
 * the copy meanwhile.
 */
export async function fetchDifference(
  { reader, subscriber }: { readonly reader: Connection; readonly subscriber: Connection },
  copy: CopyTable,
): Promise<Difference | null> {
  const { kind, table } = copy;
  if (kind.purpose !== 'state' && kind.purpose !== 'provisioning') return null;
  if (!(await hasRows(subscriber, table, LEAST_ROWS))) return null;
  const buckets = await findDifferingBuckets([subscriber, reader], {
    kind,
    table,
    digest: rowDigest(copy.columns),
  });
  if (buckets.differing.length > buckets.count / MOST_DIFFERING) return null;
  const columns = columnNames(copy.columns.map(({ name }) => name));
  const [fresh, gone] = [freshOf(copy), goneOf(copy)];
  await subscriber.simple(`
    DROP TABLE IF EXISTS ${fresh}, ${gone};
    CREATE TEMP TABLE ${bare(fresh)} AS SELECT ${columns} FROM ${qualified(table)} WHERE false`);
  const condition = `${whereFilter(kind) || ' WHERE true'} AND ${inDifferingBuckets(buckets)}`;
  await pipeCopy(
    reader,
    `COPY (SELECT ${columns} FROM ${qualified(table)} t${condition}) TO STDOUT (FORMAT binary)`,
    subscriber,
    `COPY ${fresh} (${columns}) FROM STDIN (FORMAT binary)`,
  );
  const isSame = sameRow(copy);
  const results = await subscriber.simple(`
    ANALYZE ${fresh};
    CREATE TEMP TABLE ${bare(gone)} AS SELECT ${columnNames(kind.key)} FROM ${qualified(table)} t
      WHERE ${inDifferingBuckets(buckets)} AND NOT EXISTS (SELECT FROM ${fresh} f WHERE ${isSame});
    DELETE FROM ${fresh} f USING ${qualified(table)} t WHERE ${isSame};
    SELECT count(*) AS rows FROM ${fresh}`);
  return { copy, rows: Number(results.at(-1)?.rows[0]?.['rows'] ?? 0) };
}

/** SQL that makes the copy equal to what was fetched. May be repeated. */
export function mergeSql({ copy }: Difference): string {
  const key = columnNames(copy.kind.key);
  const columns = columnNames(copy.columns.map(({ name }) => name));
  return `
    DELETE FROM ${qualified(copy.table)} WHERE (${key}) IN
      (SELECT ${key} FROM ${goneOf(copy)} UNION ALL SELECT ${key} FROM ${freshOf(copy)});
    INSERT INTO ${qualified(copy.table)} (${columns}) SELECT ${columns} FROM ${freshOf(copy)};`;
}

async function hasRows(subscriber: Connection, table: string, least: number): Promise<boolean> {
  const [found] = await subscriber.simple(
    `SELECT count(*) >= ${least} AS enough FROM (SELECT FROM ${qualified(table)} LIMIT ${least}) t`,
  );
  return found?.rows[0]?.['enough'] === 't';
}

/** By key, which has an index; then byte for byte. */
function sameRow({ kind, columns }: CopyTable): string {
  const key = (alias: string) => columnNames(kind.key, alias);
  const all = (alias: string) =>
    columnNames(
      columns.map(({ name }) => name),
      alias,
    );
  return `(${key('f')}) = (${key('t')}) AND record_image_eq(ROW(${all('f')}), ROW(${all('t')}))`;
}

const bare = (temporary: string): string => temporary.slice('pg_temp.'.length);
const freshOf = ({ table }: CopyTable): string => `pg_temp.fresh_${table}`;
const goneOf = ({ table }: CopyTable): string => `pg_temp.gone_${table}`;
