/**
 * Turns the stream into batches of at most one change a key.
 *
 * Invariant: a batch holds whole transactions only, all of them up to its `endLsn` and after the batch before. Changes are
 * merged as they come; a batch is therefore only handed out between transactions, and whoever loses the stream in the
 * middle of one throws the pending batch away and streams again from the stored position.
 */
import { type Lsn, NO_LSN } from '../../domain/lsn.ts';
import { ProtocolRefused } from '../wire/server-error.ts';
import type { ChangeSink, Relation } from './pgoutput.ts';
import { TableBatch } from './table-batch.ts';
import type { TableLayout } from './table-layout.ts';

export interface Batch {
  /** In the order of their first change. A table whose columns changed on the way stands here twice, old shape first. */
  readonly tables: readonly TableBatch[];
  readonly endLsn: Lsn;
  /** Row events that went in, and rows that came out: the difference is conflation. */
  readonly rowsReceived: number;
  readonly rowsOut: number;
  /** Commit time of the newest transaction, microseconds. */
  readonly committedAt: number;
}

export class Conflater implements ChangeSink {
  readonly #layOut: (relation: Relation, commitLsn: Lsn) => TableLayout | null;
  readonly #current = new Map<number, TableBatch>();
  #tables: TableBatch[] = [];
  readonly #spare: TableBatch[] = [];
  readonly #from: Lsn;
  /** Tables of the publication that are not applied here. */
  readonly #passedOver = new Set<number>();
  #commitLsn: Lsn = NO_LSN;
  #inTransaction = false;
  #skipping = false;
  #rowsReceived = 0;
  #endLsn: Lsn = NO_LSN;
  #committedAt = 0;

  /**
   * `layOut` answers `null` for a table whose changes are passed over, and throws for one that must be held back first;
   * it hears which transaction is at hand. Transactions that committed before `from`, or before their table's own, are
   * already applied and are passed over, as the server itself does.
   */
  constructor(layOut: (relation: Relation, commitLsn: Lsn) => TableLayout | null, from: Lsn) {
    this.#layOut = layOut;
    this.#from = from;
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /** Bytes held for the batch that is filling. */
  get byteCount(): number {
    let sum = 0;
    for (const table of this.#tables) sum += table.byteCount;
    return sum;
  }

  /** Whether a transaction has ended since the last batch. */
  get hasPending(): boolean {
    return this.#endLsn !== NO_LSN;
  }

  begin(commitLsn: Lsn): void {
    this.#inTransaction = true;
    this.#commitLsn = commitLsn;
    this.#skipping = commitLsn < this.#from;
  }

  relation(relation: Relation): void {
    const layout = this.#layOut(relation, this.#commitLsn);
    this.#passedOver.delete(relation.oid);
    this.#current.delete(relation.oid);
    if (layout) this.#current.set(relation.oid, new TableBatch(layout));
    else this.#passedOver.add(relation.oid);
  }

  upsert(relationOid: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#skipping) this.#table(relationOid)?.upsert(bytes, start, end);
  }

  remove(relationOid: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#skipping) this.#table(relationOid)?.remove(bytes, start, end);
  }

  truncate(relationOids: readonly number[]): void {
    if (this.#skipping) return;
    for (const oid of relationOids) this.#table(oid)?.truncate();
  }

  commit(endLsn: Lsn, committedAtMicros: number): void {
    this.#inTransaction = false;
    if (this.#skipping) return;
    this.#endLsn = endLsn;
    this.#committedAt = committedAtMicros;
  }

  /** `null` inside a transaction, or when no transaction has ended since the last batch. */
  take(): Batch | null {
    if (this.#inTransaction || this.#endLsn === NO_LSN) return null;
    const batch: Batch = {
      tables: this.#tables,
      endLsn: this.#endLsn,
      rowsReceived: this.#rowsReceived,
      rowsOut: this.#tables.reduce((sum, table) => sum + table.size, 0),
      committedAt: this.#committedAt,
    };
    for (const [oid, table] of this.#current)
      if (this.#tables.includes(table)) this.#current.set(oid, this.#renew(table));
    this.#tables = [];
    this.#rowsReceived = 0;
    this.#endLsn = NO_LSN;
    return batch;
  }

  /** Gives an applied batch's memory back for the next. */
  recycle(batch: Batch): void {
    for (const table of batch.tables) {
      if (this.#spare.length >= 8) return;
      table.clear();
      this.#spare.push(table);
    }
  }

  #renew(table: TableBatch): TableBatch {
    const at = this.#spare.findIndex((spare) => spare.layout === table.layout);
    return (at >= 0 ? this.#spare.splice(at, 1)[0] : undefined) ?? new TableBatch(table.layout);
  }

  #table(relationOid: number): TableBatch | null {
    const table = this.#current.get(relationOid);
    if (!table && this.#passedOver.has(relationOid)) return null;
    if (!table) throw new ProtocolRefused(`a change of relation ${relationOid} came without its description`);
    if (this.#commitLsn < table.layout.from) return null;
    if (table.size === 0 && !table.truncated && !this.#tables.includes(table)) this.#tables.push(table);
    this.#rowsReceived++;
    return table;
  }
}
