interface Failures {
  count: number;
  untilMs: number;
}

const MAX_HOLD_MS = 60_000;
const SOURCES = 10_000;

/** Holds a source back after repeated failures, twice as long after each further one. Bounded: the longest known source is forgotten. */
export class Backoff {
  readonly #allowed: number;
  readonly #firstMs: number;
  readonly #sources = new Map<string, Failures>();

  /** @param allowed failures without any hold. */
  constructor(allowed: number, firstMs: number) {
    this.#allowed = allowed;
    this.#firstMs = firstMs;
  }

  /** Milliseconds this source still has to wait; 0 when it may try. */
  remainingMs(source: string, nowMs: number): number {
    const failures = this.#sources.get(source);
    return failures === undefined ? 0 : Math.max(0, failures.untilMs - nowMs);
  }

  failed(source: string, nowMs: number): void {
    const count = (this.#sources.get(source)?.count ?? 0) + 1;
    const over = count - this.#allowed;
    const untilMs = over < 0 ? 0 : nowMs + Math.min(MAX_HOLD_MS, this.#firstMs * 2 ** Math.min(over, 16));
    this.#sources.delete(source);
    if (this.#sources.size >= SOURCES) this.#forgetOldest();
    this.#sources.set(source, { count, untilMs });
  }

  succeeded(source: string): void {
    this.#sources.delete(source);
  }

  #forgetOldest(): void {
    for (const source of this.#sources.keys()) {
      this.#sources.delete(source);
      return;
    }
  }
}
