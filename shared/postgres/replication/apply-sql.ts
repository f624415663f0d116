/**
 * The constant SQL of one table's apply. Rows travel as one array of the copy's own row type: half the CPU of an
 * array for each of its columns, and it carries array columns too.
 */

import { dateOf, groupOf, isForgettable, isForgotten, qualified } from '../kinds/kind-sql.ts';
import { quoteIdentifier } from '../wire/quoting.ts';
import type { CopyColumn, TableLayout } from './table-layout.ts';

/** Upsert of `$1`, an array of the copy's row type; each column only from a row that is not older in that column's group. */
export const upsertSql = (layout: TableLayout): string =>
  `${insertSql(layout)} DO ${actionOf(layout, (column) => assignment(layout, column))}`;

/**
 * The same with the position's move ($2 lsn, $3 peer, $4 generation, $5 epoch, $6 the batch before) in one statement, for
 * the batch of one table that nearly every batch is: half the cost of two. Without ownership, or while the batch before is
 * not applied, it changes no row. It compares dates once a row, not once a column, and gives up with LC005 when the copy's
 * is newer.
 */
export function advancingUpsertSql(layout: TableLayout): string {
  const action = actionOf(
    layout,
    ({ name }) => `${quoteIdentifier(name)} = excluded.${quoteIdentifier(name)}`,
  );
  const dates = presentColumns(layout).filter(({ name }) => dateOf(layout.copy.kind, name) === name);
  const inOrder = dates.map(({ name }) => `(${isNotOlder(name)})`).join(' AND ');
  const condition = inOrder && `WHERE CASE WHEN ${inOrder} THEN true ELSE lastcall.refuse_older() END`;
  return `WITH moved AS (
      UPDATE lastcall.replication_position SET lsn = $2, applied_at = clock_timestamp()
      WHERE peer = $3 AND generation = $4 AND lsn BETWEEN $6 AND $2
        AND EXISTS (SELECT FROM lastcall.replication_owner o WHERE o.peer = $3 AND o.epoch = $5)
      RETURNING 1)
    ${insertSql(layout, 'WHERE EXISTS (SELECT FROM moved)')} DO ${action} ${action === 'NOTHING' ? '' : condition}`;
}

function insertSql(layout: TableLayout, condition = ''): string {
  const { kind, table } = layout.copy;
  const names = presentColumns(layout)
    .map(({ name }) => quoteIdentifier(name))
    .join(', ');
  const keys = presentColumns(layout)
    .filter(({ isKey }) => isKey)
    .map(({ name }) => quoteIdentifier(name))
    .join(', ');
  // Marks purge own rows: in the order of their keys, as every writer of several own rows takes them.
  const order = kind.purpose === 'marks' ? `ORDER BY ${keys}` : '';
  return `INSERT INTO ${qualified(table)} AS copy (${names}) SELECT ${names} FROM unnest($1::${qualified(table)}[]) ${condition} ${order}
    ON CONFLICT (${keys})`;
}

function actionOf(layout: TableLayout, setting: (column: CopyColumn) => string): string {
  const settings = presentColumns(layout)
    .filter(({ isKey }) => !isKey)
    .map(setting);
  return settings.length > 0 ? `UPDATE SET ${settings.join(', ')}` : 'NOTHING';
}

/** An older date gives way only where the newer one is forgotten: then both are, and the copy equals its origin (I1). */
function assignment({ copy: { kind }, columns }: TableLayout, { name }: CopyColumn): string {
  const column = quoteIdentifier(name);
  const date = dateOf(kind, name);
  if (date === null || !columns.some((other) => other?.name === date))
    return `${column} = excluded.${column}`;
  const by = quoteIdentifier(date);
  const group = groupOf(kind, name);
  const forgotten =
    group && isForgettable(kind) ? ` OR ${isForgotten(kind, 'copy', group.name, `copy.${by}`)}` : '';
  return `${column} = CASE WHEN ${isNotOlder(date)}${forgotten} THEN excluded.${column} ELSE copy.${column} END`;
}

/** Also without a date on either side: then it was forgotten, or never there. */
const isNotOlder = (date: string): string =>
  `(excluded.${quoteIdentifier(date)} >= copy.${quoteIdentifier(date)}) IS NOT FALSE`;

/** Delete of the keys in `$1`, an array of the copy's row type with only the key filled. */
export function deleteSql(layout: TableLayout): string {
  const table = qualified(layout.copy.table);
  return `DELETE FROM ${table} copy USING unnest($1::${table}[]) gone WHERE ${keyMatch(layout, 'gone')}`;
}

/** Update of one row by key with the columns at `indexes` only, from `$1` as above: the others did not change. */
export function partialUpdateSql(layout: TableLayout, indexes: readonly number[]): string {
  const table = qualified(layout.copy.table);
  const settings = indexes.flatMap((index) => {
    const column = layout.columns[index];
    return column && !column.isKey
      ? [`${quoteIdentifier(column.name)} = r.${quoteIdentifier(column.name)}`]
      : [];
  });
  return `UPDATE ${table} copy SET ${settings.join(', ')} FROM unnest($1::${table}[]) r WHERE ${keyMatch(layout, 'r')}`;
}

const presentColumns = (layout: TableLayout): CopyColumn[] =>
  layout.columns.filter((column) => column !== null);

const keyMatch = (layout: TableLayout, alias: string): string =>
  presentColumns(layout)
    .filter(({ isKey }) => isKey)
    .map(({ name }) => `copy.${quoteIdentifier(name)} = ${alias}.${quoteIdentifier(name)}`)
    .join(' AND ');
