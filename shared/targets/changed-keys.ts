/**
 * The stream's changes as the keys that they concern, each once. What a target is given is read at the end of a batch: so
 * many changes of a key are one, and a replay gives the same.
 */
import type { Lsn } from '../domain/lsn.ts';
import { NO_LSN } from '../domain/lsn.ts';
import type { Kind } from '../postgres/kinds/kind.ts';
import { type ChangeSink, columnEnd, type Relation } from '../postgres/replication/pgoutput.ts';
import { columnStart } from '../postgres/replication/row-bytes.ts';
import { keyTextOf } from './freshest-source.ts';

export interface ChangedBatch {
  /** Keys as text, by kind: of its own rows and marks. */
  readonly keys: ReadonlyMap<string, ReadonlySet<string>>;
  readonly xids: readonly number[];
  readonly endLsn: Lsn;
  /** Commit time of the newest transaction, microseconds. */
  readonly committedAt: number;
  readonly rowsReceived: number;
}

interface Source {
  /** Of which kind the key is; null: a column says it. */
  readonly kind: string | null;
  readonly key: readonly number[];
  readonly kindIndex: number;
  readonly typeOids: readonly number[];
}

/** More sessions than commit at once. */
const XIDS_KEPT = 10_000;

export class ChangedKeys implements ChangeSink {
  readonly #kinds: readonly Kind[];
  readonly #sites: ReadonlySet<string>;
  readonly #sources = new Map<number, Source | null>();
  #keys = new Map<string, Set<string>>();
  #xids: number[] = [];
  #endLsn: Lsn = NO_LSN;
  #committedAt = 0;
  #rowsReceived = 0;
  #inTransaction = false;
  /** A table was emptied: only a look at everything tells what is left. */
  truncated = false;

  constructor(kinds: readonly Kind[], sites: ReadonlySet<string>) {
    this.#kinds = kinds;
    this.#sites = sites;
  }

  get size(): number {
    let size = 0;
    for (const keys of this.#keys.values()) size += keys.size;
    return size;
  }

  get isIdle(): boolean {
    return !this.#inTransaction && this.#endLsn === NO_LSN;
  }

  begin(_commitLsn: Lsn, xid: number): void {
    this.#inTransaction = true;
    this.#xids.push(xid);
    if (this.#xids.length > 2 * XIDS_KEPT) this.#xids.splice(0, XIDS_KEPT);
  }

  relation(relation: Relation): void {
    this.#sources.set(relation.oid, this.#sourceOf(relation));
  }

  upsert(relationOid: number, bytes: Buffer, start: number): void {
    const source = this.#sources.get(relationOid);
    if (!source) return;
    this.#rowsReceived++;
    const value = (index: number): string => readText(bytes, start, index, source.typeOids[index] ?? 0);
    const kind = source.kind ?? value(source.kindIndex);
    const text = source.kind === null ? value(source.key[0] ?? 0) : keyTextOf(source.key.map(value));
    const keys = this.#keys.get(kind);
    if (keys) keys.add(text);
    else this.#keys.set(kind, new Set([text]));
  }

  remove(relationOid: number, bytes: Buffer, start: number): void {
    this.upsert(relationOid, bytes, start);
  }

  truncate(): void {
    this.truncated = true;
  }

  commit(endLsn: Lsn, committedAtMicros: number): void {
    this.#inTransaction = false;
    this.#endLsn = endLsn;
    this.#committedAt = committedAtMicros;
  }

  /** `null` inside a transaction, or when none has ended since the last batch. */
  take(): ChangedBatch | null {
    if (this.#inTransaction || this.#endLsn === NO_LSN) return null;
    const batch: ChangedBatch = {
      keys: this.#keys,
      xids: this.#xids,
      endLsn: this.#endLsn,
      committedAt: this.#committedAt,
      rowsReceived: this.#rowsReceived,
    };
    this.#keys = new Map();
    this.#xids = [];
    this.#endLsn = NO_LSN;
    this.#rowsReceived = 0;
    return batch;
  }

  #sourceOf({ schema, table, columns }: Relation): Source | null {
    const kind = this.#kinds.find((each) => {
      const isOf = table.startsWith(`${each.kind}_`);
      return isOf && this.#sites.has(table.slice(each.kind.length + 1));
    });
    if (schema !== 'lastcall' || !kind || kind.purpose === 'heartbeat') return null;
    const indexOf = (name: string): number => columns.findIndex((column) => column.name === name);
    const typeOids = columns.map(({ typeOid }) => typeOid);
    if (kind.purpose === 'marks')
      return { kind: null, key: [indexOf('key')], kindIndex: indexOf('kind'), typeOids };
    return { kind: kind.kind, key: kind.key.map(indexOf), kindIndex: -1, typeOids };
  }
}

const BINARY = 0x62;

/** One column of a tuple as text: of the types that a key may have. */
function readText(bytes: Buffer, start: number, index: number, typeOid: number): string {
  const at = columnStart(bytes, start, index);
  const end = columnEnd(bytes, at);
  if (bytes[at] !== BINARY || typeOid === 25) return bytes.toString('utf8', at + 5, end);
  if (typeOid === 20) return String(bytes.readBigInt64BE(at + 5));
  if (typeOid === 23) return String(bytes.readInt32BE(at + 5));
  const hex = bytes.toString('hex', at + 5, end);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
