/** Pieces of SQL that a kind's description gives. `alias` names a row of the kind. */
import { quoteIdentifier, quoteLiteral } from '../wire/quoting.ts';
import type { ColumnGroup, Kind } from './kind.ts';

export const tableOf = (kind: Kind, site: string): string => `${kind.kind}_${site}`;

export const qualified = (table: string): string => `lastcall.${quoteIdentifier(table)}`;

export const columnNames = (names: readonly string[], alias = ''): string =>
  names.map((name) => `${alias && `${alias}.`}${quoteIdentifier(name)}`).join(', ');

/** The key as its marks and reports name it: the value as text, or a JSON array of several. */
export function keyText({ key }: Kind, alias: string): string {
  const parts = key.map((name) => `${alias}.${quoteIdentifier(name)}::text`);
  return parts.length === 1 ? (parts[0] ?? '') : `jsonb_build_array(${parts.join(', ')})::text`;
}

/** A relation with the key columns of the keys in `parameter`, a JSON array of key texts. */
export function keysIn(kind: Kind, parameter: string): string {
  const columns = kind.key.map((name, index) => {
    const part = kind.key.length === 1 ? 'u.key' : `(u.key::jsonb ->> ${index})`;
    return `${part}::${typeOf(kind, name)} AS ${quoteIdentifier(name)}`;
  });
  return `(SELECT ${columns.join(', ')} FROM jsonb_array_elements_text(${parameter}::jsonb) AS u (key))`;
}

/** Spreads rows evenly over buckets, the same way at every site; `buckets` is a power of two. */
export function bucketOf(kind: Kind, alias: string, buckets: number): string {
  const [first = '', ...more] = kind.key;
  const isNumber = more.length === 0 && typeOf(kind, first) === 'bigint';
  const hash = isNumber
    ? `hashint8extended(${alias}.${quoteIdentifier(first)}, 0)`
    : `hashtextextended(${keyText(kind, alias)}, 0)`;
  return `(${hash} & ${buckets - 1})`;
}

/** How many buckets hold about `rowsEach` of `rows`. */
export const bucketCount = (rows: number, rowsEach: number): number =>
  2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, rows / rowsEach))));

/** The date that says how new a column is; `null` for one that follows the stream. */
export function dateOf(kind: Kind, column: string): string | null {
  if (kind.singleDates.includes(column)) return column;
  return groupOf(kind, column)?.date ?? null;
}

export function groupOf(kind: Kind, column: string): ColumnGroup | null {
  return kind.groups.find(({ date, columns }) => date === column || columns.includes(column)) ?? null;
}

/** Whether marks cover its rows. */
export const isForgettable = ({ purpose }: Kind): boolean =>
  purpose === 'state' || purpose === 'provisioning';

/** That a date of `group`, or of any (`all`), is forgotten by a mark known at that site. */
export const isForgotten = (kind: Kind, alias: string, group: string, date: string): string =>
  `lastcall.is_forgotten(${quoteLiteral(kind.kind)}, ${keyText(kind, alias)}, ${quoteLiteral(group)}, ${date})`;

export const whereFilter = ({ rowFilter }: Kind): string =>
  rowFilter === null ? '' : ` WHERE (${rowFilter})`;

function typeOf(kind: Kind, column: string): string {
  const found = kind.columns.find(({ name }) => name === column);
  if (!found) throw new TypeError(`kind ${kind.kind} has no column ${column}`);
  return found.type;
}
