/** Counts seen of one nonce: the highest, and which of the 31 below it (bit 0 is the highest itself). */
interface Seen {
  readonly issuedMs: number;
  highest: number;
  bits: number;
}

const WINDOW = 32;

/**
 * Lets every nonce count pass once (RFC 7616 3.4.1), in any order within a window of 32, for requests sent together
 * may overtake one another. Memory is bounded: when a nonce must be forgotten, all nonces as old are refused from then on.
 */
export class ReplayGuard {
  readonly #capacity: number;
  readonly #lifetimeMs: number;
  readonly #seen = new Map<string, Seen>();
  #forgottenUntilMs = Number.NEGATIVE_INFINITY;

  constructor(capacity: number, lifetimeMs: number) {
    this.#capacity = capacity;
    this.#lifetimeMs = lifetimeMs;
  }

  /** Nonces remembered. */
  get size(): number {
    return this.#seen.size;
  }

  /** True when this use of the nonce is the first of its count. */
  accept(nonce: string, issuedMs: number, count: number, nowMs: number): boolean {
    const seen = this.#seen.get(nonce);
    if (seen !== undefined) return acceptCount(seen, count);
    if (issuedMs <= this.#forgottenUntilMs) return false;
    this.#makeRoom(nowMs);
    this.#seen.set(nonce, { issuedMs, highest: count, bits: 1 });
    return true;
  }

  /** Expired nonces go first: their age refuses them anyway. */
  #makeRoom(nowMs: number): void {
    for (const [nonce, { issuedMs }] of this.#seen) {
      const expired = nowMs - issuedMs > this.#lifetimeMs;
      if (!expired && this.#seen.size < this.#capacity) return;
      if (!expired) this.#forgottenUntilMs = Math.max(this.#forgottenUntilMs, issuedMs);
      this.#seen.delete(nonce);
    }
  }
}

function acceptCount(seen: Seen, count: number): boolean {
  const ahead = count - seen.highest;
  if (ahead > 0) {
    seen.bits = ahead >= WINDOW ? 1 : ((seen.bits << ahead) | 1) >>> 0;
    seen.highest = count;
    return true;
  }
  const bit = ahead > -WINDOW ? (1 << -ahead) >>> 0 : 0;
  if (bit === 0 || (seen.bits & bit) !== 0) return false;
  seen.bits = (seen.bits | bit) >>> 0;
  return true;
}
