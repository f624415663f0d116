/**
 * The constant SQL of one table's apply. Rows travel as one array of the copy's own row type: half the CPU of an
 * array for each of 26 columns, and it carries array columns too.
 */

import { quoteIdentifier } from '../wire/quoting.ts';
import type { CopyColumn, TableKind, TableLayout } from './table-layout.ts';

export const qualified = (table: string): string => `lastcall.${quoteIdentifier(table)}`;

/** Which column's value says how new a column is; `null` for those that follow the stream. */
export function versionColumn(kind: TableKind, column: string): string | null {
  switch (kind) {
    case 'terminals':
      return 'updated_at';
    case 'forgotten':
      return 'forgotten_at';
    case 'heartbeat':
      return 'beat_at';
    case 'lastcalls': {
      const group = /^last_(dialed|received|terminated)_/.exec(column);
      if (group) return `last_${group[1]}_date`;
      return column.startsWith('last_term_') ? column : null;
    }
  }
}

/** Upsert of `$1`, an array of the copy's row type; each column only from a row that is not older in that column's group. */
export function upsertSql(layout: TableLayout, condition = ''): string {
  const { kind, table } = layout.copy;
  const names = layout.columns.map((column) => quoteIdentifier(column.name)).join(', ');
  const keys = keyColumns(layout).map((column) => quoteIdentifier(column.name));
  const settings = layout.columns
    .filter((column) => !column.isKey)
    .map((column) => assignment(kind, column, layout.columns));
  const action = settings.length > 0 ? `UPDATE SET ${settings.join(', ')}` : 'NOTHING';
  // Marks purge own rows: in the order of their keys, as every writer of several own rows takes them.
  const order = kind === 'forgotten' ? `ORDER BY ${keys.join(', ')}` : '';
  return `INSERT INTO ${qualified(table)} AS copy (${names}) SELECT ${names} FROM unnest($1::${qualified(table)}[]) ${condition} ${order}
    ON CONFLICT (${keys.join(', ')}) DO ${action}`;
}

/**
 * The same with the position's move ($2 lsn, $3 peer, $4 generation, $5 epoch) in one statement, for the batch of one
 * table that nearly every batch is: half the cost of two. Without ownership or continuity it changes no row.
 */
export function advancingUpsertSql(layout: TableLayout): string {
  return `WITH moved AS (
      UPDATE lastcall.replication_position SET lsn = $2, applied_at = clock_timestamp()
      WHERE peer = $3 AND generation = $4 AND lsn <= $2
        AND EXISTS (SELECT FROM lastcall.replication_owner o WHERE o.peer = $3 AND o.epoch = $5)
      RETURNING 1)
    ${upsertSql(layout, 'WHERE EXISTS (SELECT FROM moved)')}`;
}

function assignment(kind: TableKind, column: CopyColumn, columns: readonly CopyColumn[]): string {
  const name = quoteIdentifier(column.name);
  const version = versionColumn(kind, column.name);
  if (version === null || !columns.some((other) => other.name === version))
    return `${name} = excluded.${name}`;
  const by = quoteIdentifier(version);
  return `${name} = CASE WHEN (excluded.${by} >= copy.${by}) IS NOT FALSE THEN excluded.${name} ELSE copy.${name} END`;
}

/** Delete of the keys in `$1`, an array of the copy's row type with only the key filled. */
export function deleteSql(layout: TableLayout): string {
  const table = qualified(layout.copy.table);
  const matches = keyColumns(layout).map(
    ({ name }) => `copy.${quoteIdentifier(name)} = gone.${quoteIdentifier(name)}`,
  );
  return `DELETE FROM ${table} copy USING unnest($1::${table}[]) gone WHERE ${matches.join(' AND ')}`;
}

/** Update of one row by key with the columns at `indexes` only, from `$1` as above: the others did not change. */
export function partialUpdateSql(layout: TableLayout, indexes: readonly number[]): string {
  const table = qualified(layout.copy.table);
  const matches = keyColumns(layout).map(
    ({ name }) => `copy.${quoteIdentifier(name)} = r.${quoteIdentifier(name)}`,
  );
  const settings = indexes.flatMap((index) => {
    const column = layout.columns[index];
    return column && !column.isKey
      ? [`${quoteIdentifier(column.name)} = r.${quoteIdentifier(column.name)}`]
      : [];
  });
  return `UPDATE ${table} copy SET ${settings.join(', ')} FROM unnest($1::${table}[]) r WHERE ${matches.join(' AND ')}`;
}

const keyColumns = (layout: TableLayout): readonly CopyColumn[] =>
  layout.columns.filter((column) => column.isKey);
