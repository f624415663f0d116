/**
 * The receive buffer. The socket writes straight into it and messages are read in place, so a byte is copied only by
 * who keeps it. A message is valid only until its handler returns.
 */
export class FrameBuffer {
  bytes: Buffer;
  start = 0;
  end = 0;

  constructor(capacity = 256 * 1024) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Room for the next read; makes some when there is little. */
  space(): Buffer {
    if (this.start === this.end) {
      this.start = this.end = 0;
    } else if (this.bytes.length - this.end < this.bytes.length >> 2) {
      this.#make(0);
    }
    return this.end === 0 ? this.bytes : this.bytes.subarray(this.end);
  }

  /** For streams that bring their own chunks (TLS). */
  append(chunk: Buffer): void {
    if (this.space().length < chunk.length) this.#make(chunk.length);
    chunk.copy(this.bytes, this.end);
    this.end += chunk.length;
  }

  /** Calls `onMessage(type, bodyStart, bodyEnd)` for each complete message; offsets are into `bytes`. */
  drain(onMessage: (type: number, bodyStart: number, bodyEnd: number) => void): void {
    while (this.end - this.start >= 5) {
      const size = this.bytes.readInt32BE(this.start + 1) + 1;
      if (this.end - this.start < size) {
        if (this.start + size > this.bytes.length) this.#make(size - (this.end - this.start));
        return;
      }
      const at = this.start;
      this.start += size;
      onMessage(this.bytes[at] ?? 0, at + 5, at + size);
    }
  }

  #make(more: number): void {
    const held = this.end - this.start;
    const needed = held + Math.max(more, this.bytes.length >> 2);
    const target = needed > this.bytes.length ? Buffer.allocUnsafeSlow(needed * 2) : this.bytes;
    this.bytes.copy(target, 0, this.start, this.end);
    this.bytes = target;
    this.start = 0;
    this.end = held;
  }
}
