/**
 * Applies batches to this site's copies of one peer.
 *
 * Invariants:
 * - Each transaction of the origin is applied exactly once and in commit order: the position moves in the applying
 *   transaction, only forward and only for the direction's owner, else the whole batch rolls back (rules 4 and 7). A
 *   batch replayed, or applied after a newer one, therefore changes nothing (S2).
 * - So a row of the stream is always the origin's later word. A group without a date in it was forgotten there, by a mark
 *   of any site, and is cleared here too (I1), whether or not that mark has arrived.
 * - As a second lock a group with a date never replaces a newer one (I2), whatever the first lock let through.
 * - A deleted key is deleted even when the same batch also writes it: what follows a delete owes nothing to the row before.
 */
import type { Lsn } from '../../domain/lsn.ts';
import type { ByteWriter } from '../wire/byte-writer.ts';
import type { Connection } from '../wire/connection.ts';
import { endBind, startBinaryBind, writeParse } from '../wire/messages.ts';
import { advancingUpsertSql, deleteSql, partialUpdateSql, qualified, upsertSql } from './apply-sql.ts';
import type { Batch } from './conflate.ts';
import { writeRowArray } from './encode-rows.ts';
import { columnEnd } from './pgoutput.ts';
import type { TableBatch } from './table-batch.ts';
import type { TableLayout } from './table-layout.ts';

/** Whose batches these are; checked in every transaction. */
export interface ApplyFence {
  readonly peer: string;
  readonly epoch: bigint;
  readonly generation: bigint;
}

/**
 * Settings of the applying session. The plans are generic: planning would cost more than executing a small batch. It gives
 * way to the application early, long before that one's own lock_timeout or the deadlock check.
 */
export const APPLY_SETTINGS = {
  plan_cache_mode: 'force_generic_plan',
  synchronous_commit: 'off',
  lock_timeout: '300',
  jit: 'off',
  search_path: 'lastcall, pg_temp',
} as const;

const ADVANCE = 'advance';
const UNCHANGED_TOAST = 0x75;

interface StatementNames {
  readonly upsert: string;
  readonly remove: string;
  readonly advancing: string;
}

export class Applier {
  readonly #connection: Connection;
  readonly #fence: ApplyFence;
  readonly #statements = new Map<TableLayout, StatementNames>();

  private constructor(connection: Connection, fence: ApplyFence) {
    this.#connection = connection;
    this.#fence = fence;
  }

  /** `connection` is this applier's alone, opened with {@link APPLY_SETTINGS}. */
  static async open(connection: Connection, fence: ApplyFence): Promise<Applier> {
    await connection.prepare(ADVANCE, 'SELECT lastcall.advance_position($1, $2, $3, $4, $5)');
    return new Applier(connection, fence);
  }

  /**
   * One transaction. With `durable` it is on disk when this resolves, and every batch before it too; without, only
   * visible. Throws `ServerError`: LC001 when another worker owns the direction, LC002 when the position does not follow.
   */
  async apply(batch: Batch, durable: boolean): Promise<void> {
    for (const { layout } of batch.tables) if (!this.#statements.has(layout)) await this.#prepare(layout);
    const [only] = batch.tables;
    if (only && batch.tables.length === 1 && !durable && isPlain(only)) {
      await this.#applyPlain(only, batch.endLsn);
      return;
    }
    await this.#connection.pipeline((out) => {
      this.#writeAdvance(out, batch.endLsn, durable);
      for (const table of marksFirst(batch.tables)) this.#writeTable(out, table);
    });
  }

  /** Moves the position alone, durably: nothing was written for us up to `lsn` (rule 8). */
  async advance(lsn: Lsn): Promise<void> {
    await this.#connection.pipeline((out) => this.#writeAdvance(out, lsn, true));
  }

  async #applyPlain(table: TableBatch, endLsn: Lsn): Promise<void> {
    const { peer, epoch, generation } = this.#fence;
    const names = this.#statements.get(table.layout);
    const [result] = await this.#connection.pipeline((out) => {
      const bind = startBinaryBind(out, names?.advancing ?? '', 5);
      writeRowArray(out, table, () => true);
      out.int32(8).int64(endLsn).int32(Buffer.byteLength(peer)).utf8(peer);
      out.int32(8).int64(generation).int32(8).int64(epoch);
      endBind(out, bind);
    });
    // Nothing was written: the position did not move, and moving it alone says why not.
    if (result?.rowCount !== table.rowCount) {
      await this.advance(endLsn);
      throw new Error(`${result?.rowCount} of ${table.rowCount} rows applied`);
    }
  }

  async #prepare(layout: TableLayout): Promise<void> {
    const number = this.#statements.size;
    const names = {
      upsert: `upsert_${number}`,
      remove: `remove_${number}`,
      advancing: `advancing_${number}`,
    };
    await this.#connection.prepare(names.upsert, upsertSql(layout));
    await this.#connection.prepare(names.remove, deleteSql(layout));
    await this.#connection.prepare(names.advancing, advancingUpsertSql(layout));
    this.#statements.set(layout, names);
  }

  #writeAdvance(out: ByteWriter, lsn: Lsn, durable: boolean): void {
    const { peer, epoch, generation } = this.#fence;
    const bind = startBinaryBind(out, ADVANCE, 5);
    out.int32(Buffer.byteLength(peer)).utf8(peer);
    out.int32(8).int64(epoch).int32(8).int64(generation).int32(8).int64(lsn);
    out.int32(1).uint8(durable ? 1 : 0);
    endBind(out, bind);
  }

  #writeTable(out: ByteWriter, table: TableBatch): void {
    const names = this.#statements.get(table.layout);
    if (!names) return;
    if (table.truncated) {
      // DELETE, not TRUNCATE: readers keep their snapshot and nobody waits for a lock.
      writeParse(out, '', `DELETE FROM ${qualified(table.layout.copy.table)}`);
      endBind(out, startBinaryBind(out, '', 0));
    }
    if (table.tombstoneCount > 0) {
      const bind = startBinaryBind(out, names.remove, 1);
      writeRowArray(out, table, (slot) => table.isTombstone(slot), true);
      endBind(out, bind);
    }
    if (table.rowCount > 0) {
      const bind = startBinaryBind(out, names.upsert, 1);
      writeRowArray(out, table, (slot) => table.isRow(slot));
      endBind(out, bind);
    }
    if (table.partialCount > 0) writePartials(out, table);
  }
}

/**
 * A mark purges this site's own rows. Own rows before copies is the order in which the application locks them when it
 * deletes through the view, so the two never wait for each other in a circle.
 */
function marksFirst(tables: readonly TableBatch[]): TableBatch[] {
  const isMarks = (table: TableBatch): boolean => table.layout.copy.kind === 'forgotten';
  return [...tables.filter(isMarks), ...tables.filter((table) => !isMarks(table))];
}

const isPlain = (table: TableBatch): boolean =>
  !table.truncated && table.rowCount === table.size && table.tombstoneCount === 0;

/** Rows that lack unchanged out-of-line values: rare and large, one statement each. */
function writePartials(out: ByteWriter, table: TableBatch): void {
  for (let partial = 0; partial < table.size; partial++) {
    if (!table.isPartial(partial)) continue;
    writeParse(out, '', partialUpdateSql(table.layout, presentColumns(table.row(partial))));
    const bind = startBinaryBind(out, '', 1);
    writeRowArray(out, table, (slot) => slot === partial);
    endBind(out, bind);
  }
}

function presentColumns(row: Buffer): number[] {
  const present: number[] = [];
  let index = 0;
  for (let at = 2; at < row.length; at = columnEnd(row, at), index++)
    if (row[at] !== UNCHANGED_TOAST) present.push(index);
  return present;
}
