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
import { type Lsn, NO_LSN } from '../../domain/lsn.ts';
import { qualified } from '../kinds/kind-sql.ts';
import { SQLSTATE } from '../sqlstate.ts';
import type { ByteWriter } from '../wire/byte-writer.ts';
import type { Connection } from '../wire/connection.ts';
import { endBind, startBinaryBind, writeParse } from '../wire/messages.ts';
import { ServerError } from '../wire/server-error.ts';
import { advancingUpsertSql, deleteSql, partialUpdateSql, upsertSql } from './apply-sql.ts';
import type { Batch } from './conflate.ts';
import { type RowFilter, writeRowArray } from './encode-rows.ts';
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
  search_path: 'lastcall, pg_temp',
} as const;

/** Of one message (rule 34); the server's own limit is 1 GB. */
const BIND_LIMIT_BYTES = 64 * 1024 ** 2;
const ADVANCE = 'advance';
const UNCHANGED_TOAST = 0x75;

type Step = (out: ByteWriter) => void;

/** The batch before one: its end, and when it is applied. */
export interface Preceding {
  readonly endLsn: Lsn;
  readonly applied: Promise<void>;
}

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
   * visible. `before` is the batch before it when that is still on its way: a small one follows without waiting for its
   * answer, and changes nothing unless that one is applied. Throws what `before` throws; `ServerError`: LC001 when another
   * worker owns the direction, LC002 when the position does not follow.
   */
  async apply(batch: Batch, durable: boolean, before: Preceding | null = null): Promise<void> {
    for (const { layout } of batch.tables) if (!this.#statements.has(layout)) await this.#prepare(layout);
    const applied = !durable && this.isPlain(batch) && this.#applyPlain(batch, before?.endLsn ?? NO_LSN);
    if (before) await settledFirst(before.applied, applied);
    if (!(await applied)) await this.#applyCarefully(batch, durable);
  }

  /** Each table by statements of its own, the dates compared group by group. */
  async #applyCarefully({ tables, endLsn }: Batch, durable: boolean): Promise<void> {
    const steps = [
      (out: ByteWriter) => this.#writeAdvance(out, endLsn, durable),
      ...marksFirst(tables).flatMap((table) => this.#stepsOf(table)),
    ];
    if (!fitsOneBind(tables)) return this.#inPieces(steps);
    await this.#connection.pipeline((out) => {
      for (const step of steps) step(out);
    });
  }

  /** One transaction of many messages: none of them, and no buffer for them, grows with it (rule 34). */
  async #inPieces(steps: readonly Step[]): Promise<void> {
    await this.#connection.simple('BEGIN');
    try {
      for (const step of steps) await this.#connection.pipeline(step);
      await this.#connection.simple('COMMIT');
    } catch (cause) {
      if (!this.#connection.closed) await this.#connection.simple('ROLLBACK');
      throw cause;
    }
  }

  /** Moves the position alone, durably: nothing was written for us up to `lsn` (rule 8). */
  async advance(lsn: Lsn): Promise<void> {
    await this.#connection.pipeline((out) => this.#writeAdvance(out, lsn, true));
  }

  /** Rows of one table whose statements are prepared, and nothing else: one short statement, which another may follow. */
  isPlain({ tables }: Batch): boolean {
    const [only] = tables;
    if (!only || tables.length > 1 || !this.#statements.has(only.layout) || !fitsOneBind(tables))
      return false;
    return !only.truncated && only.rowCount === only.size && only.tombstoneCount === 0;
  }

  /** False when nothing was written: the copy is newer in a date, or the position does not stand where it should. */
  async #applyPlain({ tables, endLsn }: Batch, after: Lsn): Promise<boolean> {
    const { peer, epoch, generation } = this.#fence;
    const [table] = tables;
    if (!table) return false;
    try {
      const [result] = await this.#connection.pipeline((out) => {
        const bind = startBinaryBind(out, this.#statements.get(table.layout)?.advancing ?? '', 6);
        writeRowArray(out, table, () => true);
        out.int32(8).int64(endLsn).int32(Buffer.byteLength(peer)).utf8(peer);
        out.int32(8).int64(generation).int32(8).int64(epoch).int32(8).int64(after);
        endBind(out, bind);
      });
      return result?.rowCount === table.rowCount;
    } catch (cause) {
      if (cause instanceof ServerError && cause.code === SQLSTATE.COPY_IS_NEWER) return false;
      throw cause;
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

  #stepsOf(table: TableBatch): Step[] {
    const names = this.#statements.get(table.layout);
    if (!names) return [];
    const steps: Step[] = [];
    if (table.truncated) {
      steps.push((out) => {
        // DELETE, not TRUNCATE: readers keep their snapshot and nobody waits for a lock.
        writeParse(out, '', `DELETE FROM ${qualified(table.layout.copy.table)}`);
        endBind(out, startBinaryBind(out, '', 0));
      });
    }
    for (const [from, to] of pieces(table)) {
      if (table.tombstoneCount > 0) {
        const isGone: RowFilter = (slot) => slot >= from && slot < to && table.isTombstone(slot);
        steps.push((out) => writeRows(out, names.remove, table, isGone, true));
      }
    }
    for (const [from, to] of pieces(table)) {
      if (table.rowCount > 0) {
        const isThere: RowFilter = (slot) => slot >= from && slot < to && table.isRow(slot);
        steps.push((out) => writeRows(out, names.upsert, table, isThere, false));
      }
    }
    if (table.partialCount > 0) steps.push((out) => writePartials(out, table));
    return steps;
  }
}

function writeRows(
  out: ByteWriter,
  statement: string,
  table: TableBatch,
  wanted: RowFilter,
  keysOnly: boolean,
): void {
  const bind = startBinaryBind(out, statement, 1);
  writeRowArray(out, table, wanted, keysOnly);
  endBind(out, bind);
}

/** An upper bound of what the table's rows take in a Bind. */
function encodedBytes(table: TableBatch): number {
  return table.byteCount + table.size * (8 + 8 * table.layout.copy.columns.length);
}

/** Ranges of slots whose rows fit one Bind each. */
function pieces(table: TableBatch): [from: number, to: number][] {
  if (encodedBytes(table) <= BIND_LIMIT_BYTES) return [[0, table.size]];
  const ranges: [number, number][] = [];
  const perRow = 8 + 8 * table.layout.copy.columns.length;
  let [from, bytes] = [0, 0];
  for (let slot = 0; slot < table.size; slot++) {
    const rowBytes = perRow + (table.lengths[slot] ?? 0);
    if (bytes + rowBytes > BIND_LIMIT_BYTES && slot > from) {
      ranges.push([from, slot]);
      [from, bytes] = [slot, 0];
    }
    bytes += rowBytes;
  }
  return [...ranges, [from, table.size]];
}

/**
 * A mark purges this site's own rows. Own rows before copies is the order in which the application locks them when it
 * deletes through the view, so the two never wait for each other in a circle.
 */
function marksFirst(tables: readonly TableBatch[]): TableBatch[] {
  const isMarks = (table: TableBatch): boolean => table.layout.copy.kind.purpose === 'marks';
  return [...tables.filter(isMarks), ...tables.filter((table) => !isMarks(table))];
}

const fitsOneBind = (tables: readonly TableBatch[]): boolean =>
  tables.reduce((sum, table) => sum + encodedBytes(table), 0) <= BIND_LIMIT_BYTES;

/** What `follower` throws is looked at later, if `first` does not throw. */
async function settledFirst(first: Promise<void>, follower: Promise<boolean> | false): Promise<void> {
  if (follower) follower.catch(() => undefined);
  await first;
}

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
