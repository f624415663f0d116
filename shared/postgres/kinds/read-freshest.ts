/** One key of an operator's table: each group from its freshest site, without what is forgotten. */
import { formatTimestamptz, type Micros } from '../../domain/micros.ts';
import type { Queryable } from '../database.ts';
import { quoteIdentifier } from '../wire/quoting.ts';
import type { Kind } from './kind.ts';
import { columnNames, groupOf, qualified } from './kind-sql.ts';

type Cell = string | number | boolean | object | null;

export interface FreshestGroup {
  readonly site: string;
  /** RFC 3339, UTC, six decimals. */
  readonly at: string;
  /** By name; dates as `at`. */
  readonly columns: Readonly<Record<string, Cell>>;
}

export interface FreshestRow {
  readonly kind: string;
  readonly key: Readonly<Record<string, Cell>>;
  /** By name; null: no site knows it, or it was forgotten. */
  readonly groups: Readonly<Record<string, FreshestGroup | null>>;
  /** What belongs to no group. */
  readonly columns: Readonly<Record<string, Cell>>;
}

/**
 * `null` when no site knows the key. `key` is the value, or the JSON array of several. Throws `INVALID_VALUE` for one that
 * is not of the key's type.
 */
export async function readFreshest(
  database: Queryable,
  kind: Kind,
  key: readonly string[],
  budgetMs: number,
): Promise<FreshestRow | null> {
  const named = kind.key.map((name, index) => {
    const type = kind.columns.find((column) => column.name === name)?.type ?? 'text';
    return `${quoteIdentifier(name)} = $${index + 1}::text::${type}`;
  });
  const columns = columnNames(kind.columns.map(({ name }) => name));
  const sites = columnNames(kind.groups.map(({ name }) => `${name}_site`));
  const [row] = await database.query<Record<string, Cell>>(
    `SELECT ${columns}, ${sites} FROM ${qualified(`${kind.kind}_freshest`)} WHERE ${named.join(' AND ')}`,
    key,
    budgetMs,
  );
  return row ? toFreshest(kind, row) : null;
}

function toFreshest(kind: Kind, row: Readonly<Record<string, Cell>>): FreshestRow {
  const cell = (name: string): Cell => {
    const value = row[name] ?? null;
    const isDate = kind.columns.some(
      (column) => column.name === name && /^timestamp.*with time zone$/.test(column.type),
    );
    return isDate && value !== null ? formatTimestamptz(value as Micros) : value;
  };
  const cells = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, cell(name)]));
  const loose = kind.columns.filter(({ name }) => !kind.key.includes(name) && groupOf(kind, name) === null);
  return {
    kind: kind.kind,
    key: cells(kind.key),
    groups: Object.fromEntries(
      kind.groups.map(({ name, date, columns }) => {
        const site = row[`${name}_site`];
        return [name, site ? { site: String(site), at: String(cell(date)), columns: cells(columns) } : null];
      }),
    ),
    columns: cells(loose.map(({ name }) => name)),
  };
}
