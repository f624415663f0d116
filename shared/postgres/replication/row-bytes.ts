/** Reading single values out of a pgoutput tuple: int16 column count, then per column a kind and perhaps length and bytes. */

import { ProtocolRefused } from '../wire/server-error.ts';
import { columnEnd } from './pgoutput.ts';
import type { TableLayout } from './table-layout.ts';

const UNCHANGED_TOAST = 0x75;
const BINARY = 0x62;

/** Equal keys give equal values. A bigint that fits is a number, which Maps find fastest. */
export type RowKey = number | bigint | string;

export function readKey(layout: TableLayout, bytes: Buffer, start: number): RowKey {
  if (layout.hasBigintKey) {
    const high = bytes.readInt32BE(start + 7);
    if (bytes[start + 2] !== BINARY) throw new ProtocolRefused('the key did not come in binary form');
    if (high < 0x20_0000 && high > -0x20_0000) return high * 4_294_967_296 + bytes.readUInt32BE(start + 11);
    return bytes.readBigInt64BE(start + 7);
  }
  let key = '';
  for (const index of layout.keyIndexes) {
    const at = columnStart(bytes, start, index);
    key += bytes.toString('latin1', at, columnEnd(bytes, at));
  }
  return key;
}

export function columnStart(bytes: Buffer, start: number, index: number): number {
  let at = start + 2;
  for (let i = 0; i < index; i++) at = columnEnd(bytes, at);
  return at;
}

/** An UPDATE leaves out values stored out of line that it did not change. */
export function hasUnchangedToast(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start + 2; at < end; at = columnEnd(bytes, at))
    if (bytes[at] === UNCHANGED_TOAST) return true;
  return false;
}

/** `row` with its unchanged values taken from `base`, an earlier row of the same key. */
export function fillUnchanged(row: Buffer, base: Buffer): Buffer {
  const parts: Buffer[] = [row.subarray(0, 2)];
  let [at, from] = [2, 2];
  while (at < row.length) {
    const [end, fromEnd] = [columnEnd(row, at), columnEnd(base, from)];
    parts.push(row[at] === UNCHANGED_TOAST ? base.subarray(from, fromEnd) : row.subarray(at, end));
    at = end;
    from = fromEnd;
  }
  return Buffer.concat(parts);
}

/** A timestamptz column's microseconds since 1970, `null` for NULL. */
export function readTimestamptz(bytes: Buffer, start: number, index: number): number | null {
  const at = columnStart(bytes, start, index);
  if (bytes[at] !== BINARY) return null;
  return Number(bytes.readBigInt64BE(at + 5)) + 946_684_800_000_000;
}
