/** Failures of one key since its last success or long quiet. */
export interface Failures {
  readonly count: number;
  /** Held back until then; 0 while it is not. */
  readonly untilMs: number;
  readonly lastMs: number;
}

export interface BackoffOptions {
  /** The failure that is held back first. */
  readonly failures: number;
  /** The first hold. */
  readonly firstMs: number;
  /** Failures after which a hold doubles; default 1. */
  readonly failuresToDouble?: number;
  /** Keys remembered, default 10,000. */
  readonly capacity?: number;
}

const MAX_HOLD_MS = 60_000;
/** After so long without a failure the next counts as the first. */
const FORGOTTEN_MS = 1_800_000;

/** Holds a key back after repeated failures, longer and longer. Bounded: the key whose last failure is oldest is forgotten. */
export class Backoff {
  readonly #options: Required<BackoffOptions>;
  readonly #failures = new Map<string, Failures>();

  constructor(options: BackoffOptions) {
    this.#options = { failuresToDouble: 1, capacity: 10_000, ...options };
  }

  /** Keys remembered. */
  get size(): number {
    return this.#failures.size;
  }

  /** Milliseconds this key still has to wait; 0 when it may try. */
  remainingMs(key: string, nowMs: number): number {
    return Math.max(0, (this.#failures.get(key)?.untilMs ?? 0) - nowMs);
  }

  failed(key: string, nowMs: number): Failures {
    const { capacity, failures: allowed, failuresToDouble, firstMs } = this.#options;
    const before = this.#failures.get(key);
    const count = before === undefined || nowMs - before.lastMs > FORGOTTEN_MS ? 1 : before.count + 1;
    const doublings = Math.min((count - allowed) / failuresToDouble, 16);
    const untilMs = doublings < 0 ? 0 : nowMs + Math.min(MAX_HOLD_MS, Math.floor(firstMs * 2 ** doublings));
    this.#failures.delete(key);
    if (this.#failures.size >= capacity) this.#forgetOldest();
    const failures = { count, untilMs, lastMs: nowMs };
    this.#failures.set(key, failures);
    return failures;
  }

  forget(key: string): boolean {
    return this.#failures.delete(key);
  }

  entries(): Iterable<readonly [key: string, failures: Failures]> {
    return this.#failures.entries();
  }

  #forgetOldest(): void {
    for (const key of this.#failures.keys()) {
      this.#failures.delete(key);
      return;
    }
  }
}
