import { eventKey, type LastcallEvent } from './event.ts';

export interface GateLimits {
  /** The same event again within this time is not told. */
  readonly repeatMs: number;
  /** No more than this many of all events within `windowMs`. */
  readonly most: number;
  readonly windowMs: number;
}

/** Decides which events are told: nobody reads the hundredth mail of a night. */
export class AlertGate {
  readonly #limits: GateLimits;
  readonly #toldAtMs = new Map<string, number>();
  #recentMs: number[] = [];
  #withheld = 0;

  constructor(limits: GateLimits) {
    this.#limits = limits;
  }

  /** The number of events withheld since the last one told, or null when this one is withheld as well. */
  admit(event: LastcallEvent, nowMs: number): number | null {
    const { repeatMs, most, windowMs } = this.#limits;
    for (const [key, atMs] of this.#toldAtMs) if (nowMs - atMs >= repeatMs) this.#toldAtMs.delete(key);
    this.#recentMs = this.#recentMs.filter((atMs) => nowMs - atMs < windowMs);
    const key = eventKey(event);
    if (this.#toldAtMs.has(key) || this.#recentMs.length >= most) {
      this.#withheld++;
      return null;
    }
    this.#toldAtMs.set(key, nowMs);
    this.#recentMs.push(nowMs);
    const withheld = this.#withheld;
    this.#withheld = 0;
    return withheld;
  }
}
