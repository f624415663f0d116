/**
 * How an origin's row maps onto this site's copy. Rows keep the column order of the origin's Relation message; this
 * names, for each of the copy's columns, where its value stands in them.
 */
import type { Relation } from './pgoutput.ts';

export type TableKind = 'lastcalls' | 'terminals' | 'forgotten' | 'heartbeat';
export const TABLE_KINDS: readonly TableKind[] = ['forgotten', 'terminals', 'lastcalls', 'heartbeat'];

export interface CopyColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly isKey: boolean;
}

/** The copy as this site's catalog describes it. */
export interface CopyTable {
  readonly kind: TableKind;
  /** `lastcalls_b`: the same name at origin and copy. */
  readonly table: string;
  /** Of the table's row type. A resynchronisation swaps the table and with it this. */
  readonly rowTypeOid: number;
  /** All of them, in the order of the row type. */
  readonly columns: readonly CopyColumn[];
}

export interface TableLayout {
  readonly copy: CopyTable;
  readonly relationOid: number;
  /** The origin's columns in its order, each with the copy's type. */
  readonly columns: readonly CopyColumn[];
  /** For each of the copy's columns its index in an origin row, -1 where the origin lacks it. */
  readonly sourceIndexes: readonly number[];
  readonly keyIndexes: readonly number[];
  /** One bigint in the first column: the key of `lastcalls` and `terminals`. */
  readonly hasBigintKey: boolean;
}

/** The origin's table cannot be applied here. `remedy` is for the operator. */
export class SchemaMismatch extends Error {
  override readonly name = 'SchemaMismatch';
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

const INT8_OID = 20;

/** Throws {@link SchemaMismatch} for an unknown column, another type, another key or another replica identity. */
export function layOut(relation: Relation, copy: CopyTable): TableLayout {
  const where = `${relation.schema}.${relation.table}`;
  if (relation.replicaIdentity !== 'd') {
    throw new SchemaMismatch(
      `${where} has replica identity ${relation.replicaIdentity}`,
      `ALTER TABLE ${where} REPLICA IDENTITY DEFAULT at the origin`,
    );
  }
  const local = new Map(copy.columns.map((column) => [column.name, column]));
  const columns = relation.columns.map((column) => {
    const own = local.get(column.name);
    if (!own) {
      throw new SchemaMismatch(
        `${where}.${column.name} is unknown here`,
        'migrate the subscribing site first, then the origin',
      );
    }
    if (own.typeOid !== column.typeOid || own.isKey !== column.isKey) {
      throw new SchemaMismatch(
        `${where}.${column.name} is of another type or key here`,
        'bring both sites to one version',
      );
    }
    return own;
  });
  const names = relation.columns.map((column) => column.name);
  const missingKey = copy.columns.find((column) => column.isKey && !names.includes(column.name));
  if (missingKey)
    throw new SchemaMismatch(
      `${where} lacks key column ${missingKey.name}`,
      'bring both sites to one version',
    );
  return {
    copy,
    relationOid: relation.oid,
    columns,
    sourceIndexes: copy.columns.map((column) => names.indexOf(column.name)),
    keyIndexes: columns.flatMap((column, index) => (column.isKey ? [index] : [])),
    hasBigintKey:
      columns[0]?.isKey === true &&
      columns[0].typeOid === INT8_OID &&
      columns.filter((c) => c.isKey).length === 1,
  };
}
