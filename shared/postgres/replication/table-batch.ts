/**
 * The changes of one table in one batch, at most one a key: the last row, and whether the key was deleted on the way.
 * Row bytes stand in one arena and are overwritten in place, so memory grows with keys and never with writes (I7).
 */
import { fillUnchanged, hasUnchangedToast, type RowKey, readKey } from './row-bytes.ts';
import type { TableLayout } from './table-layout.ts';

const HAS_ROW = 1;
/** The key was deleted at some point: owed to the copy even when a row follows, or when an insert preceded (rule 12). */
const TOMBSTONE = 2;
/** The row lacks unchanged out-of-line values and there was no earlier row in this batch to take them from. */
const PARTIAL = 4;

const FIRST_ARENA_BYTES = 64 * 1024;
const COMPACTION_BYTES = 1024 * 1024;

export class TableBatch {
  readonly layout: TableLayout;
  /** Everything before this batch's rows is gone. */
  truncated = false;
  arena = Buffer.allocUnsafeSlow(FIRST_ARENA_BYTES);
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];
  readonly #capacities: number[] = [];
  readonly #flags: number[] = [];
  readonly #index = new Map<RowKey, number>();
  #used = 0;
  #wasted = 0;
  rowCount = 0;
  tombstoneCount = 0;
  partialCount = 0;

  constructor(layout: TableLayout) {
    this.layout = layout;
  }

  get size(): number {
    return this.offsets.length;
  }

  get byteCount(): number {
    return this.#used;
  }

  upsert(bytes: Buffer, start: number, end: number): void {
    const slot = this.#slot(readKey(this.layout, bytes, start));
    const flags = this.#flags[slot] ?? 0;
    if (hasUnchangedToast(bytes, start, end)) {
      this.#upsertUnchanged(slot, Buffer.from(bytes.subarray(start, end)));
      return;
    }
    if (flags & PARTIAL) this.partialCount--;
    if ((flags & (HAS_ROW | PARTIAL)) !== HAS_ROW) this.rowCount++;
    this.#flags[slot] = (flags & TOMBSTONE) | HAS_ROW;
    this.#store(slot, bytes, start, end);
  }

  remove(bytes: Buffer, start: number, end: number): void {
    const slot = this.#slot(readKey(this.layout, bytes, start));
    const flags = this.#flags[slot] ?? 0;
    if (flags & PARTIAL) this.partialCount--;
    else if (flags & HAS_ROW) this.rowCount--;
    if (!(flags & TOMBSTONE)) this.tombstoneCount++;
    this.#flags[slot] = TOMBSTONE;
    this.#store(slot, bytes, start, end);
  }

  truncate(): void {
    this.clear();
    this.truncated = true;
  }

  /** Empties it for another batch; keeps the arena. */
  clear(): void {
    this.#index.clear();
    this.offsets.length = this.lengths.length = this.#capacities.length = this.#flags.length = 0;
    this.#used = this.#wasted = this.rowCount = this.tombstoneCount = this.partialCount = 0;
    this.truncated = false;
  }

  isRow(slot: number): boolean {
    return ((this.#flags[slot] ?? 0) & (HAS_ROW | PARTIAL)) === HAS_ROW;
  }

  isPartial(slot: number): boolean {
    return ((this.#flags[slot] ?? 0) & PARTIAL) !== 0;
  }

  isTombstone(slot: number): boolean {
    return ((this.#flags[slot] ?? 0) & TOMBSTONE) !== 0;
  }

  row(slot: number): Buffer {
    const offset = this.offsets[slot] ?? 0;
    return this.arena.subarray(offset, offset + (this.lengths[slot] ?? 0));
  }

  #upsertUnchanged(slot: number, update: Buffer): void {
    const flags = this.#flags[slot] ?? 0;
    const row = flags & HAS_ROW ? fillUnchanged(update, this.row(slot)) : update;
    const stillPartial = !(flags & HAS_ROW) || (flags & PARTIAL) !== 0;
    if (!(flags & HAS_ROW)) this.partialCount++;
    this.#flags[slot] = (flags & TOMBSTONE) | HAS_ROW | (stillPartial ? PARTIAL : 0);
    this.#store(slot, row, 0, row.length);
  }

  #slot(key: RowKey): number {
    const found = this.#index.get(key);
    if (found !== undefined) return found;
    const slot = this.offsets.length;
    this.#index.set(key, slot);
    this.offsets.push(0);
    this.lengths.push(0);
    this.#capacities.push(0);
    this.#flags.push(0);
    return slot;
  }

  #store(slot: number, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if ((this.#capacities[slot] ?? 0) < length) this.#allocate(slot, length);
    bytes.copy(this.arena, this.offsets[slot] ?? 0, start, end);
    this.lengths[slot] = length;
  }

  #allocate(slot: number, length: number): void {
    this.#wasted += this.#capacities[slot] ?? 0;
    // Rows of one terminal differ by a few bytes from write to write: some slack lets the next one stay in place.
    const capacity = (length + 47) & ~31;
    if (this.#wasted > COMPACTION_BYTES && this.#wasted > this.#used >> 1) {
      this.#capacities[slot] = this.lengths[slot] = 0;
      this.#move(Math.max(this.arena.length, capacity * 2));
    }
    if (this.#used + capacity > this.arena.length)
      this.#grow(Math.max(this.arena.length * 2, this.#used + capacity));
    this.offsets[slot] = this.#used;
    this.#capacities[slot] = capacity;
    this.#used += capacity;
  }

  #grow(size: number): void {
    const grown = Buffer.allocUnsafeSlow(size);
    this.arena.copy(grown, 0, 0, this.#used);
    this.arena = grown;
  }

  /** Copies the living rows side by side into a new arena. */
  #move(size: number): void {
    const target = Buffer.allocUnsafeSlow(size);
    let at = 0;
    for (let slot = 0; slot < this.offsets.length; slot++) {
      const [offset, capacity] = [this.offsets[slot] ?? 0, this.#capacities[slot] ?? 0];
      this.arena.copy(target, at, offset, offset + capacity);
      this.offsets[slot] = at;
      at += capacity;
    }
    this.arena = target;
    this.#used = at;
    this.#wasted = 0;
  }
}
