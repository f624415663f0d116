/**
 * How far apart batches begin. Reading, sending and committing cost about as much as ten rows, so at a low rate each
 * change goes at once, and the higher the rate the more of them share a batch.
 */
const AT_ONCE_BELOW_PER_SECOND = 2_200;
const GAP_MS_PER_RATE = 1.8 / 1_000;
const LONGEST_GAP_MS = 8;
const WINDOW_MS = 100;

export class Pace {
  #gapMs = 0;
  #rows = 0;
  #windowAtMs = 0;

  /** A batch of so many row events begins now: milliseconds until the next should. */
  gapAfter(rows: number, nowMs: number): number {
    this.#rows += rows;
    const windowMs = nowMs - this.#windowAtMs;
    if (windowMs >= WINDOW_MS) {
      const perSecond = (this.#rows / windowMs) * 1000;
      this.#gapMs = Math.min(
        LONGEST_GAP_MS,
        Math.max(0, (perSecond - AT_ONCE_BELOW_PER_SECOND) * GAP_MS_PER_RATE),
      );
      this.#rows = 0;
      this.#windowAtMs = nowMs;
    }
    return this.#gapMs;
  }
}
