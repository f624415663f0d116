import { rmSync } from 'node:fs';
import { LastcallError } from '../domain/errors.ts';
import { type LastCalls, mergeLastCalls } from '../domain/last-calls.ts';
import type { Logger } from '../runtime/logger.ts';
import { RingFile, readRing } from './ring-file.ts';
import { RingPlace } from './ring-place.ts';

export interface KeptCallsOptions {
  readonly directory: string;
  readonly bytes: number;
  /** Whether {@link KeptCalls.synced} waits for the disk itself, so that records survive a loss of power too. */
  readonly fdatasync: boolean;
  readonly site: string;
  readonly service: string;
  readonly log: Logger;
}

/** A terminal's kept row as of one moment; `version` says later whether it has changed since. */
export interface KeptVersion {
  readonly terminalId: number;
  readonly version: number;
}
export interface KeptRow extends KeptVersion {
  readonly row: LastCalls;
}

interface Entry {
  /** All that was kept of this terminal since it was last let go, merged. */
  row: LastCalls;
  version: number;
  /** Up to which version the table has it; the failed ones apart. */
  written: number;
  /** The youngest version that the table refused to take for now; 0 when none. */
  failed: number;
  /** When it was written last, in {@link KeptCalls.turn}s. */
  turn: number;
}

/** Let go at once when there is no more room, so that not every record has to look for some. */
const ROOM_SHARE = 1 / 32;

/**
 * What this process recorded, merged per terminal, in memory and in its ring file: from before anybody hears of a record
 * until it is in the table and every peer holds it (rules 30, 31). A killed process's are replayed by the next one as
 * they were recorded. Bounded by the file: what only peers still lack is let go for room, oldest first, and counted; what
 * the table lacks never is.
 */
export class KeptCalls {
  readonly #options: KeptCallsOptions;
  readonly #entries = new Map<number, Entry>();
  /** Those of them that the table has, in the order in which it got them: what may be let go for room. */
  readonly #settled = new Map<number, Entry>();
  #ring: RingFile | null = null;
  #place: RingPlace | null = null;
  #version = 0;
  #turn = 1;
  #letGo = 0;
  #refused = 0;

  constructor(options: KeptCallsOptions) {
    this.#options = options;
  }

  /** Makes the ring and takes in what dead processes of this site left. Throws `RING_UNUSABLE`. */
  async open(): Promise<void> {
    const { directory, bytes, site, service } = this.#options;
    this.#place = await RingPlace.claim(directory, site, service);
    const { path } = this.#place;
    const textOf = (key: number) => JSON.stringify(this.#entries.get(key)?.row ?? null);
    try {
      this.#ring = new RingFile({ path, bytes, textOf });
    } catch (cause) {
      await this.#place.release();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new LastcallError('RING_UNUSABLE', { cause, details: { path, reason } });
    }
    await this.takeOver();
  }

  /** Takes in the rings of processes that died; their rows are {@link unwritten}. */
  async takeOver(): Promise<void> {
    const { log } = this.#options;
    for (const path of (await this.#place?.takeOver()) ?? []) {
      const texts = readRing(path);
      const rows = texts.map((text) => JSON.parse(text) as LastCalls | null).filter((row) => row !== null);
      const kept = rows.map((row) => this.keep(row));
      this.failed(kept.filter((version) => version !== null));
      if (kept.includes(null)) return log.warn({ path }, 'no room yet for what another process left');
      rmSync(path);
      if (rows.length > 0)
        log.warn({ path, rows: rows.length }, 'records of a process that died are taken over');
    }
  }

  /** In the ring when it returns; null when there is no room for it. */
  keep(row: LastCalls): KeptVersion | null {
    const { terminalId } = row;
    const before = this.#entries.get(terminalId);
    const merged = before ? mergeLastCalls(before.row, row) : row;
    if (!this.#put(terminalId, JSON.stringify(merged))) {
      this.#refused++;
      return null;
    }
    const version = ++this.#version;
    const { written = 0, failed = 0, turn = 0 } = before ?? {};
    this.#settled.delete(terminalId);
    this.#entries.set(terminalId, { row: merged, version, written, failed, turn });
    return { terminalId, version };
  }

  /** Resolves when all that is kept so far survives what the configuration asks for. */
  async synced(): Promise<void> {
    if (this.#options.fdatasync) await this.#ring?.synced();
  }

  /** The table has what these versions added. */
  written(versions: Iterable<KeptVersion>): void {
    for (const { terminalId, version } of versions) {
      const entry = this.#entries.get(terminalId);
      if (!entry) continue;
      entry.written = Math.max(entry.written, version);
      entry.turn = this.#turn;
      this.#settled.delete(terminalId);
      if (isWritten(entry)) this.#settled.set(terminalId, entry);
    }
  }

  /** The table could not take them now. */
  failed(versions: Iterable<KeptVersion>): void {
    for (const { terminalId, version } of versions) {
      const entry = this.#entries.get(terminalId);
      if (!entry) continue;
      entry.failed = Math.max(entry.failed, version);
      this.#settled.delete(terminalId);
    }
  }

  /** The table has the whole rows of these versions, with what had failed before. */
  mended(versions: Iterable<KeptVersion>): void {
    for (const kept of versions) {
      const entry = this.#entries.get(kept.terminalId);
      if (entry && entry.failed <= kept.version) entry.failed = 0;
      this.written([kept]);
    }
  }

  /** The table can never take them. */
  drop(versions: Iterable<KeptVersion>): void {
    for (const { terminalId, version } of versions)
      if (this.#entries.get(terminalId)?.version === version) this.#remove(terminalId);
  }

  /** The database is lost: a promoted standby may lack whatever is not let go yet. */
  distrust(): void {
    for (const entry of this.#entries.values()) entry.failed = Math.max(entry.failed, entry.written);
    for (const [terminalId, entry] of this.#settled) if (!isWritten(entry)) this.#settled.delete(terminalId);
  }

  /** What the table failed to take, or may have lost. */
  unwritten(): KeptRow[] {
    const rows: KeptRow[] = [];
    for (const [terminalId, { row, version, failed }] of this.#entries)
      if (failed > 0) rows.push({ terminalId, version, row });
    return rows;
  }

  find(terminalId: number): LastCalls | undefined {
    return this.#entries.get(terminalId)?.row;
  }

  /** The row, when the table does not have all of it. */
  pending(terminalId: number): LastCalls | undefined {
    const entry = this.#entries.get(terminalId);
    return entry && !isWritten(entry) ? entry.row : undefined;
  }

  /** Begins a new turn and returns the one that ended: whatever it counts as written was committed before now. */
  endTurn(): number {
    return this.#turn++;
  }

  /** Every peer holds what was written up to the end of that turn. */
  letGo(turn: number): void {
    for (const [terminalId, entry] of this.#settled) {
      if (entry.turn > turn) break;
      this.#remove(terminalId);
    }
    this.#ring?.release();
  }

  get size(): number {
    return this.#entries.size;
  }

  get unwrittenCount(): number {
    let count = 0;
    for (const { failed } of this.#entries.values()) if (failed > 0) count++;
    return count;
  }

  /** `letGo`: rows let go for room while a peer may have lacked them. `refused`: records there was no room for. */
  get counts(): { readonly usedBytes: number; readonly letGo: number; readonly refused: number } {
    return { usedBytes: this.#ring?.usedBytes ?? 0, letGo: this.#letGo, refused: this.#refused };
  }

  /** Leaves the file for the next process when anything is in it. */
  async close(): Promise<void> {
    this.#ring?.release();
    this.#ring?.close();
    this.#ring = null;
    if (this.#place && this.#entries.size === 0) rmSync(this.#place.path, { force: true });
    await this.#place?.release();
    this.#place = null;
  }

  #put(terminalId: number, text: string): boolean {
    const ring = this.#ring;
    if (ring === null) return false;
    try {
      return ring.put(terminalId, text) || (this.#makeRoom(terminalId) && ring.put(terminalId, text));
    } catch (err) {
      this.#options.log.error({ err }, 'the ring cannot be written');
      return false;
    }
  }

  #makeRoom(but: number): boolean {
    const ring = this.#ring;
    if (ring === null) return false;
    const goal = ring.usedBytes - ring.limitBytes * ROOM_SHARE;
    const before = this.#letGo;
    for (const terminalId of this.#settled.keys()) {
      if (ring.usedBytes <= goal) break;
      if (terminalId === but) continue;
      this.#remove(terminalId);
      this.#letGo++;
    }
    return this.#letGo > before;
  }

  #remove(terminalId: number): void {
    this.#entries.delete(terminalId);
    this.#settled.delete(terminalId);
    this.#ring?.delete(terminalId);
  }
}

function isWritten({ version, written, failed }: Entry): boolean {
  return failed === 0 && written === version;
}
