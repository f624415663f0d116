import { closeSync, fdatasync, openSync, readFileSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { encodeFrame, type Frame, frameLength, readFrames } from './frame.ts';

export interface RingFileOptions {
  readonly path: string;
  /** Of the whole file; written out when it is made, so that no later write can want for room on the disk. */
  readonly bytes: number;
  /** The text that stands for a key now, for when it must be written again further on. */
  readonly textOf: (key: number) => string;
}

interface Place {
  readonly sequence: number;
  readonly segment: number;
  readonly bytes: number;
}

const SEGMENTS = 64;
const HEADER_BYTES = 4_096;
const MAGIC = 'lastcall ring 1\n';
const RELEASED_AT = 64;
/** Of the file, for texts that stand; the rest is what their older ones take up until a segment is used again. */
const LIVE_SHARE = 0.7;
const sync = promisify(fdatasync);

/**
 * The latest text of each key, in a file that is written round and round in 64 segments. Invariant: the segment after the
 * one being written holds no text that stands, so going on never overwrites one: whatever stands in the segment after
 * that is written again first. A `put` is one `write` to the page cache: it survives this process from then on.
 */
export class RingFile {
  readonly #fd: number;
  readonly #textOf: (key: number) => string;
  readonly #segmentBytes: number;
  /** The frame being written. */
  readonly #frame: Buffer;
  /** In the order of their sequence. */
  readonly #standing = new Map<number, Place>();
  #sequence = 0;
  #segment = 0;
  #offset = 0;
  #standingBytes = 0;
  #releasedWritten = 0;
  #syncing: Promise<void> | null = null;

  /** Makes the file, readable by this user only. Throws when it exists or cannot be written in full. */
  constructor({ path, bytes, textOf }: RingFileOptions) {
    this.#textOf = textOf;
    this.#segmentBytes = Math.floor((bytes - HEADER_BYTES) / SEGMENTS);
    this.#frame = Buffer.allocUnsafeSlow(this.#segmentBytes);
    this.#fd = openSync(path, 'wx+', 0o600);
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(MAGIC);
    header.writeUInt32LE(this.#segmentBytes, MAGIC.length);
    writeAll(this.#fd, header, 0);
    const zeros = Buffer.alloc(this.#segmentBytes);
    for (let segment = 0; segment < SEGMENTS; segment++) writeAll(this.#fd, zeros, this.#start(segment));
  }

  /** False when there is no room: nothing was changed then. Throws what the disk throws. */
  put(key: number, text: string): boolean {
    const length = frameLength(text);
    const before = this.#standing.get(key)?.bytes ?? 0;
    const standing = this.#standingBytes - before + length;
    if (standing > this.limitBytes || length > this.#segmentBytes) return false;
    while (this.#offset + length > this.#segmentBytes) this.#advance();
    this.#write(key, text);
    return true;
  }

  delete(key: number): void {
    const place = this.#standing.get(key);
    if (!place) return;
    this.#standing.delete(key);
    this.#standingBytes -= place.bytes;
  }

  /** Writes down up to where nothing stands any more: what is before it is not read again. */
  release(): void {
    const [oldest] = this.#standing.values();
    const released = oldest === undefined ? this.#sequence : oldest.sequence - 1;
    if (released === this.#releasedWritten) return;
    this.#releasedWritten = released;
    const length = encodeFrame({ sequence: released, text: '' }, this.#frame);
    writeAll(this.#fd, this.#frame, RELEASED_AT, length);
  }

  /** Resolves when all that was put so far is on the disk itself. */
  synced(): Promise<void> {
    // What runs already may have begun before the last put.
    const after = this.#syncing ?? Promise.resolve();
    const next = after.catch(() => {}).then(() => sync(this.#fd));
    this.#syncing = next;
    return next;
  }

  get usedBytes(): number {
    return this.#standingBytes;
  }

  get limitBytes(): number {
    return this.#segmentBytes * SEGMENTS * LIVE_SHARE;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #advance(): void {
    this.#segment = (this.#segment + 1) % SEGMENTS;
    this.#offset = 0;
    const next = (this.#segment + 1) % SEGMENTS;
    const moving: number[] = [];
    for (const [key, { segment }] of this.#standing) {
      if (segment !== next) break;
      moving.push(key);
    }
    // They were one segment at most, so they fit.
    for (const key of moving) this.#write(key, this.#textOf(key));
  }

  #write(key: number, text: string): void {
    const bytes = encodeFrame({ sequence: this.#sequence + 1, text }, this.#frame);
    writeAll(this.#fd, this.#frame, this.#start(this.#segment) + this.#offset, bytes);
    this.#sequence++;
    this.#offset += bytes;
    this.delete(key);
    this.#standing.set(key, { sequence: this.#sequence, segment: this.#segment, bytes });
    this.#standingBytes += bytes;
  }

  #start(segment: number): number {
    return HEADER_BYTES + segment * this.#segmentBytes;
  }
}

/** The texts of a ring that its process left behind, oldest first; several of one key may be among them. */
export function readRing(path: string): readonly string[] {
  const content = readFileSync(path);
  if (content.length < HEADER_BYTES || content.toString('latin1', 0, MAGIC.length) !== MAGIC) return [];
  const segmentBytes = content.readUInt32LE(MAGIC.length);
  const [mark] = readFrames(content.subarray(RELEASED_AT, HEADER_BYTES));
  const frames: Frame[] = [];
  for (let at = HEADER_BYTES; segmentBytes > 0 && at + segmentBytes <= content.length; at += segmentBytes)
    for (const frame of readFrames(content.subarray(at, at + segmentBytes)))
      if (frame.sequence > (mark?.sequence ?? 0)) frames.push(frame);
  return frames.sort((a, b) => a.sequence - b.sequence).map(({ text }) => text);
}

/** The disk may take less than it was given. */
function writeAll(fd: number, data: Buffer, position: number, length = data.length): void {
  for (let at = 0; at < length; ) at += writeSync(fd, data, at, length - at, position + at);
}
