/**
 * Decoder for pgoutput, protocol version 1 (PostgreSQL manual, "Logical Replication Message Formats").
 * It keeps rows as the bytes they came in and reads no value but the key: the sink gets offsets and copies what it keeps.
 */
import { type Lsn, lsn } from '../../domain/lsn.ts';
import { readCString } from '../wire/messages.ts';
import { ProtocolRefused } from '../wire/server-error.ts';

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly isKey: boolean;
}

/** A table as the origin had it when the rows that follow were written. */
export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** `d` default (primary key), `n` nothing, `f` full, `i` index. */
  readonly replicaIdentity: string;
  readonly columns: readonly RelationColumn[];
}

/** Tuple ranges start at the tuple's column count. They are valid during the call only. */
export interface ChangeSink {
  begin(commitLsn: Lsn, xid: number): void;
  relation(relation: Relation): void;
  /** Insert, or the new row of an update. */
  upsert(relationOid: number, bytes: Buffer, start: number, end: number): void;
  /** A deleted row, or the old key of an update that changed it. */
  remove(relationOid: number, bytes: Buffer, start: number, end: number): void;
  truncate(relationOids: readonly number[]): void;
  /** `endLsn` is what may be acknowledged once this transaction is durable (rule 5). */
  commit(endLsn: Lsn, committedAtMicros: number): void;
}

/** PostgreSQL counts from 2000-01-01. */
const EPOCH_MICROS = 946_684_800_000_000;
const NEW_TUPLE = 0x4e;
const HANDLED = 'B I U D C R T O Y';

/** Feeds one pgoutput message to the sink. Throws `ProtocolRefused` naming a message that it does not know. */
export function decodePgoutput(bytes: Buffer, start: number, end: number, sink: ChangeSink): void {
  switch (bytes[start]) {
    case 0x55: // Update
      decodeUpdate(bytes, start, end, sink);
      break;
    case 0x49: // Insert
      sink.upsert(bytes.readUInt32BE(start + 1), bytes, start + 6, end);
      break;
    case 0x42: // Begin
      sink.begin(lsn(bytes.readBigUInt64BE(start + 1)), bytes.readUInt32BE(start + 17));
      break;
    case 0x43: // Commit
      sink.commit(lsn(bytes.readBigUInt64BE(start + 10)), readMicros(bytes, start + 18));
      break;
    case 0x44: // Delete
      sink.remove(bytes.readUInt32BE(start + 1), bytes, start + 6, end);
      break;
    case 0x52: // Relation
      sink.relation(decodeRelation(bytes.subarray(start, end)));
      break;
    case 0x54: // Truncate
      sink.truncate(decodeTruncate(bytes, start));
      break;
    case 0x4f: // Origin: where the origin itself had it from; it publishes only its own writes
    case 0x59: // Type: names of types beyond the built-in ones; a table that uses one is refused by its OID
      break;
    default: {
      const name = String.fromCharCode(bytes[start] ?? 0);
      throw new ProtocolRefused(
        `pgoutput sent message ${JSON.stringify(name)}; this version handles ${HANDLED}`,
      );
    }
  }
}

function decodeUpdate(bytes: Buffer, start: number, end: number, sink: ChangeSink): void {
  const relationOid = bytes.readUInt32BE(start + 1);
  let at = start + 5;
  if (bytes[at] !== NEW_TUPLE) {
    // 'K' or 'O': sent when the key changed, or with REPLICA IDENTITY FULL. Either way the old key's row is gone.
    const oldEnd = tupleEnd(bytes, at + 1);
    sink.remove(relationOid, bytes, at + 1, oldEnd);
    at = oldEnd;
  }
  sink.upsert(relationOid, bytes, at + 1, end);
}

/** Where the tuple at `start` ends. */
export function tupleEnd(bytes: Buffer, start: number): number {
  let at = start + 2;
  for (let left = bytes.readInt16BE(start); left > 0; left--) at = columnEnd(bytes, at);
  return at;
}

/** The end of one column: kind, and for text and binary a length and as many bytes. */
export function columnEnd(bytes: Buffer, at: number): number {
  const kind = bytes[at];
  return kind === 0x62 || kind === 0x74 ? at + 5 + bytes.readInt32BE(at + 1) : at + 1;
}

function decodeRelation(body: Buffer): Relation {
  const schema = readCString(body, 5);
  const table = readCString(body, schema.next);
  const columns: RelationColumn[] = [];
  let at = table.next + 3;
  for (let left = body.readInt16BE(table.next + 1); left > 0; left--) {
    const name = readCString(body, at + 1);
    columns.push({
      name: name.text,
      isKey: ((body[at] ?? 0) & 1) === 1,
      typeOid: body.readUInt32BE(name.next),
    });
    at = name.next + 8;
  }
  return {
    oid: body.readUInt32BE(1),
    schema: schema.text || 'pg_catalog',
    table: table.text,
    replicaIdentity: String.fromCharCode(body[table.next] ?? 0),
    columns,
  };
}

function decodeTruncate(bytes: Buffer, start: number): number[] {
  const count = bytes.readInt32BE(start + 1);
  return Array.from({ length: count }, (_, i) => bytes.readUInt32BE(start + 6 + 4 * i));
}

function readMicros(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4_294_967_296 + bytes.readUInt32BE(at + 4) + EPOCH_MICROS;
}
