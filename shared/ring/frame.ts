import { crc32 } from 'node:zlib';

/** What one record is in the file: 16 bytes of length, checksum and sequence, little-endian, then its text. */
export interface Frame {
  readonly sequence: number;
  readonly text: string;
}

const HEADER_BYTES = 16;

/** Into the beginning of `into`, which must have room for it; returns its length. */
export function encodeFrame({ sequence, text }: Frame, into: Buffer): number {
  const end = HEADER_BYTES + into.write(text, HEADER_BYTES);
  into.writeUInt32LE(end - HEADER_BYTES, 0);
  into.writeUInt32LE(sequence >>> 0, 8);
  into.writeUInt32LE(Math.floor(sequence / 2 ** 32), 12);
  into.writeUInt32LE(crc32(into.subarray(8, end)), 4);
  return end;
}

export function frameLength(text: string): number {
  return HEADER_BYTES + Buffer.byteLength(text);
}

/**
 * The frames from the beginning of a segment on. A segment is written again from its beginning, so what follows the last
 * new frame is older, or the middle of something: the first frame that is broken, or not younger than the one before, ends it.
 */
export function* readFrames(segment: Buffer): Generator<Frame> {
  let last = 0;
  for (let at = 0; at + HEADER_BYTES <= segment.length; ) {
    const end = at + HEADER_BYTES + segment.readUInt32LE(at);
    if (end > segment.length || segment.readUInt32LE(at + 4) !== crc32(segment.subarray(at + 8, end))) return;
    const sequence = Number(segment.readBigUInt64LE(at + 8));
    if (sequence <= last) return;
    yield { sequence, text: segment.toString('utf8', at + HEADER_BYTES, end) };
    last = sequence;
    at = end;
  }
}
