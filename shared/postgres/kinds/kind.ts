/** A table that every site owns one of, as the catalog `lastcall.kinds` describes it. */
import type { Connection } from '../wire/connection.ts';

/** What is written, compared and forgotten as a whole: the newest date counts. */
export interface ColumnGroup {
  readonly name: string;
  readonly date: string;
  /** Without the date. */
  readonly columns: readonly string[];
  /** The column whose NULL beside a date says: known to be withheld or erased then. */
  readonly value: string | null;
}

export interface KindColumn {
  readonly name: string;
  /** As PostgreSQL spells it: `timestamp(6) with time zone`. */
  readonly type: string;
}

export interface Kind {
  /** The tables are named `<kind>_<site>`. */
  readonly kind: string;
  readonly purpose: 'marks' | 'provisioning' | 'state' | 'heartbeat';
  readonly key: readonly string[];
  /** In the order of the shape. */
  readonly columns: readonly KindColumn[];
  readonly groups: readonly ColumnGroup[];
  /** Dates of no group: the latest of all sites counts. */
  readonly singleDates: readonly string[];
  /** Its rows go with the removal of a row of `kind`, which the key column `by` names. */
  readonly follows: { readonly kind: string; readonly by: string } | null;
  /** SQL over the key columns: which rows leave the site. */
  readonly rowFilter: string | null;
  /** Counts the changes of the definition. */
  readonly epoch: number;
}

export const READ_KINDS = `
  SELECT coalesce(json_agg(json_build_object(
    'kind', k.kind,
    'purpose', k.purpose,
    'key', k.key_columns,
    'columns', (SELECT json_agg(json_build_object('name', c.name, 'type', c.type) ORDER BY c.position)
                FROM lastcall.kind_columns c WHERE c.kind = k.kind),
    'groups', (SELECT json_agg(json_build_object('name', g.name, 'date', g.date_column, 'columns', g.columns,
                 'value', g.value_column) ORDER BY g.position) FROM lastcall.kind_groups g WHERE g.kind = k.kind),
    'singleDates', k.single_dates,
    'follows', CASE WHEN k.follows IS NOT NULL THEN json_build_object('kind', k.follows, 'by', k.follows_by) END,
    'rowFilter', k.row_filter,
    'epoch', k.epoch) ORDER BY k.position), '[]')::text AS kinds
  FROM lastcall.kinds k`;

/** In the order in which they are locked, copied and applied. */
export async function readKinds(connection: Connection): Promise<Kind[]> {
  const [result] = await connection.simple(READ_KINDS);
  return JSON.parse(result?.rows[0]?.['kinds'] ?? '[]') as Kind[];
}
