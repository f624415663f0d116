/** pgoutput tuples to the binary form of an array of a table's row type (array_send, record_send). Values are copied, never read. */
import type { ByteWriter } from '../wire/byte-writer.ts';
import { ProtocolRefused } from '../wire/server-error.ts';
import { columnEnd } from './pgoutput.ts';
import type { TableBatch } from './table-batch.ts';

const BINARY = 0x62;
const TEXT = 0x74;

export type RowFilter = (slot: number) => boolean;

/** Writes one parameter (its length and the array) with those rows for which `wanted` holds; `keysOnly` leaves the rest NULL. */
export function writeRowArray(out: ByteWriter, batch: TableBatch, wanted: RowFilter, keysOnly = false): void {
  const lengthAt = out.length;
  out.int32(0).int32(1).int32(1).int32(batch.layout.copy.rowTypeOid).int32(0).int32(1);
  let count = 0;
  for (let slot = 0; slot < batch.size; slot++) {
    if (!wanted(slot)) continue;
    count++;
    writeRow(out, batch, slot, keysOnly);
  }
  out.bytes.writeInt32BE(count, lengthAt + 16);
  out.bytes.writeInt32BE(out.length - lengthAt - 4, lengthAt);
}

const starts: number[] = [];

function writeRow(out: ByteWriter, batch: TableBatch, slot: number, keysOnly: boolean): void {
  const { layout, arena } = batch;
  const { columns } = layout.copy;
  const offset = batch.offsets[slot] ?? 0;
  const length = batch.lengths[slot] ?? 0;
  findColumns(arena, offset, offset + length);
  out.reserve(8 + columns.length * 8 + length);
  const target = out.bytes;
  const rowAt = out.length;
  let at = target.writeInt32BE(columns.length, rowAt + 4);
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i];
    if (!column) continue;
    at = target.writeInt32BE(column.typeOid, at);
    const from = starts[layout.sourceIndexes[i] ?? -1];
    const kind = from === undefined ? 0 : arena[from];
    if (from !== undefined && kind === BINARY && (!keysOnly || column.isKey)) {
      at = copyBytes(arena, from + 1, columnEnd(arena, from), target, at);
    } else if (kind === TEXT) {
      throw new ProtocolRefused(`${layout.copy.table}.${column.name} did not come in binary form`);
    } else {
      at = target.writeInt32BE(-1, at);
    }
  }
  target.writeInt32BE(at - rowAt - 4, rowAt);
  out.length = at;
}

function findColumns(bytes: Buffer, start: number, end: number): void {
  starts.length = 0;
  for (let at = start + 2; at < end; at = columnEnd(bytes, at)) starts.push(at);
}

/** A call into native copying costs more than it saves below some dozens of bytes, and most values are shorter. */
function copyBytes(source: Buffer, start: number, end: number, target: Buffer, at: number): number {
  if (end - start > 64) return at + source.copy(target, at, start, end);
  let to = at;
  for (let from = start; from < end; from++) target[to++] = source[from] as number;
  return to;
}
