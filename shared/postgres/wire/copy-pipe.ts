import type { Connection } from './connection.ts';

/** CopyData messages are gathered to about this size before they go on. */
const CHUNK_BYTES = 64 * 1024;

/**
 * COPY out of one server into another, byte for byte: CopyData is the same message in both directions, so nothing is
 * decoded. Holds a few chunks at most (rule 14). Returns the number of rows; throws the first error of either side.
 */
export async function pipeCopy(
  source: Connection,
  copyOut: string,
  target: Connection,
  copyIn: string,
): Promise<number> {
  const queue = new ChunkQueue(source);
  const reading = source
    .copyOut(copyOut, (bytes, start, end) => queue.push(bytes, start - 5, end))
    .then(
      () => queue.finish(null),
      (cause: Error) => queue.finish(cause),
    );
  const results = await target.copyIn(copyIn, async (send) => {
    for (let chunk = await queue.next(); chunk; chunk = await queue.next()) await send(chunk);
  });
  await reading;
  return results.at(-1)?.rowCount ?? 0;
}

class ChunkQueue {
  readonly #source: Connection;
  #parts: Buffer[] = [];
  #filling = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #length = 0;
  #finished = false;
  #fault: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(source: Connection) {
    this.#source = source;
  }

  push(bytes: Buffer, start: number, end: number): void {
    if (this.#length + end - start > CHUNK_BYTES) this.#close();
    if (end - start > CHUNK_BYTES) {
      this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    } else {
      this.#length += bytes.copy(this.#filling, this.#length, start, end);
    }
    if (this.#parts.length > 8) this.#source.pause();
    this.#wake?.();
  }

  finish(fault: Error | null): void {
    this.#close();
    this.#finished = true;
    this.#fault = fault;
    this.#wake?.();
  }

  /** The next chunk, `null` at the end; throws the source's error. */
  async next(): Promise<Buffer | null> {
    for (;;) {
      if (this.#fault) throw this.#fault;
      const part = this.#parts.shift();
      if (part) {
        if (this.#parts.length < 4) this.#source.resume();
        return part;
      }
      if (this.#finished) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #close(): void {
    if (this.#length === 0) return;
    this.#parts.push(this.#filling.subarray(0, this.#length));
    this.#filling = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#length = 0;
  }
}
