/** A growing buffer, reused from batch to batch. Numbers are big-endian, as everything in PostgreSQL's protocol. */
export class ByteWriter {
  bytes: Buffer;
  length = 0;

  constructor(capacity = 16_384) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  reset(): void {
    this.length = 0;
  }

  /** Makes room for `more` bytes; after it `bytes` may be another buffer. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  uint8(value: number): this {
    this.reserve(1);
    this.bytes[this.length++] = value;
    return this;
  }

  int16(value: number): this {
    this.reserve(2);
    this.length = this.bytes.writeInt16BE(value, this.length);
    return this;
  }

  int32(value: number): this {
    this.reserve(4);
    this.length = this.bytes.writeInt32BE(value, this.length);
    return this;
  }

  int64(value: bigint): this {
    this.reserve(8);
    this.length = this.bytes.writeBigInt64BE(value, this.length);
    return this;
  }

  copy(source: Buffer, start: number, end: number): this {
    this.reserve(end - start);
    source.copy(this.bytes, this.length, start, end);
    this.length += end - start;
    return this;
  }

  utf8(text: string): this {
    this.reserve(text.length * 3);
    this.length += this.bytes.write(text, this.length, 'utf8');
    return this;
  }

  cstring(text: string): this {
    return this.utf8(text).uint8(0);
  }

  /** Starts a message of this type and answers the place of its length, for {@link endMessage}. */
  startMessage(type: string): number {
    this.uint8(type.charCodeAt(0)).int32(0);
    return this.length - 4;
  }

  endMessage(lengthAt: number): this {
    this.bytes.writeInt32BE(this.length - lengthAt, lengthAt);
    return this;
  }

  /** What has been written, without a copy: valid until the next write or reset. */
  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}
