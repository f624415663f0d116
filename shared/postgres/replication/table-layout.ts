/**
 * How an origin's row maps onto this site's copy. Rows keep the column order of the origin's Relation message; this
 * names, for each of the copy's columns, where its value stands in them.
 */
import type { Lsn } from '../../domain/lsn.ts';
import type { Kind } from '../kinds/kind.ts';
import type { Relation } from './pgoutput.ts';

export interface CopyColumn {
  readonly name: string;
  readonly typeOid: number;
  /** As PostgreSQL spells it. */
  readonly type: string;
  readonly isKey: boolean;
}

/** The copy as this site's catalog describes it. */
export interface CopyTable {
  readonly kind: Kind;
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
  /** What committed before this is in the copy already. */
  readonly from: Lsn;
  /** The origin's columns in its order, each with the copy's type; `null` for one that is not here. */
  readonly columns: readonly (CopyColumn | null)[];
  /** For each of the copy's columns its index in an origin row, -1 where the origin lacks it. */
  readonly sourceIndexes: readonly number[];
  readonly keyIndexes: readonly number[];
  /** One bigint in the first column: the key of `lastcalls` and `terminals`. */
  readonly hasBigintKey: boolean;
}

/** The origin's table cannot be applied here. `remedy` is for the operator. */
export class SchemaMismatch extends Error {
  override readonly name: string = 'SchemaMismatch';
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

/** Of one kind alone: it is held back, and the others go on. */
export class KindMismatch extends SchemaMismatch {
  override readonly name = 'KindMismatch';
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(message, 'bring both sites to one version');
    this.kind = kind;
  }
}

const INT8_OID = 20;
/** Built-in types have the same OID everywhere, others have one for each database: those are told by the catalog alone. */
const FIRST_NORMAL_OID = 16_384;

/** Throws {@link KindMismatch} for another type, another key or a replica identity that does not name rows by it. */
export function layOut(relation: Relation, copy: CopyTable, from: Lsn): TableLayout {
  const refuse = (what: string): never => {
    throw new KindMismatch(copy.kind.kind, `${relation.schema}.${relation.table}${what}`);
  };
  const whole = relation.replicaIdentity === 'f';
  if (!whole && relation.replicaIdentity !== 'd') refuse(` has replica identity ${relation.replicaIdentity}`);
  const local = new Map(copy.columns.map((column) => [column.name, column]));
  const columns = relation.columns.map((column) => {
    const own = local.get(column.name) ?? null;
    // With replica identity full every column is marked as part of the key.
    if (own === null)
      return column.isKey && !whole ? refuse(`.${column.name} is a key column unknown here`) : null;
    const isSameType = own.typeOid === column.typeOid || column.typeOid >= FIRST_NORMAL_OID;
    if (!isSameType || (!whole && own.isKey !== column.isKey))
      refuse(`.${column.name} is of another type or key here`);
    return own;
  });
  const names = relation.columns.map((column) => column.name);
  const missingKey = copy.columns.find((column) => column.isKey && !names.includes(column.name));
  if (missingKey) refuse(` lacks key column ${missingKey.name}`);
  return {
    copy,
    relationOid: relation.oid,
    from,
    columns,
    sourceIndexes: copy.columns.map((column) => names.indexOf(column.name)),
    keyIndexes: columns.flatMap((column, index) => (column?.isKey ? [index] : [])),
    hasBigintKey:
      columns[0]?.isKey === true &&
      columns[0].typeOid === INT8_OID &&
      columns.filter((column) => column?.isKey).length === 1,
  };
}
