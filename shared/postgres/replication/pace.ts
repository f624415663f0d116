/**
 * How far apart batches begin. Reading, sending and committing cost about as much as ten rows, so while the machine has
 * time each change goes at once; the higher the rate, or the longer a batch takes, the more of them share a batch.
 */
const AT_ONCE_BELOW_PER_SECOND = 2_200;
const GAP_MS_PER_RATE = 1.1 / 1_000;
/** A small batch takes half a millisecond. When they take longer the processors are wanted elsewhere as well. */
const UNHURRIED_MS = 0.9;
const GAPS_PER_BATCH = 4;
const LONGEST_GAP_MS = 8;
const WINDOW_MS = 100;
const NEWEST_SHARE = 0.1;

export class Pace {
  #rateGapMs = 0;
  #rows = 0;
  #windowAtMs = 0;
  #batchMs = 0;

  /** A batch took so long to apply. */
  took(ms: number): void {
    this.#batchMs += (ms - this.#batchMs) * NEWEST_SHARE;
  }

  /** A batch of so many row events begins now: milliseconds until the next should. */
  gapAfter(rows: number, nowMs: number): number {
    this.#rows += rows;
    const windowMs = nowMs - this.#windowAtMs;
    if (windowMs >= WINDOW_MS) {
      const perSecond = (this.#rows / windowMs) * 1000;
      this.#rateGapMs = Math.max(0, (perSecond - AT_ONCE_BELOW_PER_SECOND) * GAP_MS_PER_RATE);
      this.#rows = 0;
      this.#windowAtMs = nowMs;
    }
    const busyGapMs = (this.#batchMs - UNHURRIED_MS) * GAPS_PER_BATCH;
    return Math.min(LONGEST_GAP_MS, Math.max(this.#rateGapMs, busyGapMs));
  }
}
