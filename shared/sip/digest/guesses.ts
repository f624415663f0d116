import { Backoff, type Failures } from './backoff.ts';
import type { Ban, GuessLimits } from './types.ts';

/** A name over all its sources is held only after more failures than one source may make, and its holds grow slower. */
const NAME_FAILURES_FACTOR = 5;
const NAME_FAILURES_TO_DOUBLE = 8;
const KNOWN_PAIRS = 100_000;
const DEFAULT_LIMITS: GuessLimits = { failures: 8, firstMs: 1_000 };

/**
 * G7: slows guessing for the name and the source that guess, and for nobody else. Failures count for each pair of name and
 * source, and for each name over all sources, so that many sources together get no further than one. Where a name has
 * logged in before, only that pair counts: guesses from elsewhere do not lock its phone out. A source alone is never held.
 */
export class Guesses {
  readonly #pairs: Backoff;
  readonly #names: Backoff;
  /** Names that nobody has; apart, so that they cannot push real ones out. */
  readonly #strangers: Backoff;
  readonly #known = new Set<string>();

  constructor(limits: GuessLimits = DEFAULT_LIMITS) {
    this.#pairs = new Backoff({ ...limits, capacity: 20_000 });
    this.#strangers = new Backoff(limits);
    this.#names = new Backoff({
      failures: limits.failures * NAME_FAILURES_FACTOR,
      firstMs: limits.firstMs,
      failuresToDouble: NAME_FAILURES_TO_DOUBLE,
      capacity: 20_000,
    });
  }

  /** How long this name has to wait at this source; 0 when it may try. */
  remainingMs(name: string, source: string, nowMs: number): number {
    const pair = pairKey(name, source);
    const own = Math.max(this.#pairs.remainingMs(pair, nowMs), this.#strangers.remainingMs(pair, nowMs));
    return this.#known.has(pair) ? own : Math.max(own, this.#names.remainingMs(name, nowMs));
  }

  /** @returns the failures of the pair, and until when it is held. */
  failed(name: string, source: string, exists: boolean, nowMs: number): Failures {
    const pair = pairKey(name, source);
    if (!exists) return this.#strangers.failed(pair, nowMs);
    const ofName = this.#names.failed(name, nowMs);
    const ofPair = this.#pairs.failed(pair, nowMs);
    if (this.#known.has(pair)) return ofPair;
    return { ...ofPair, untilMs: Math.max(ofPair.untilMs, ofName.untilMs) };
  }

  /**
   * Clears what this pair failed, nothing else: neither another name's failures nor this name's elsewhere.
   * @returns whether that was news.
   */
  succeeded(name: string, source: string): boolean {
    const pair = pairKey(name, source);
    const cleared = this.#pairs.forget(pair);
    const known = this.#known.delete(pair);
    this.#known.add(pair);
    const [oldest] = this.#known.size > KNOWN_PAIRS ? this.#known : [];
    if (oldest !== undefined) this.#known.delete(oldest);
    return cleared || !known;
  }

  /** Who is held back now, the longest first. */
  bans(nowMs: number): readonly Ban[] {
    const bans: Ban[] = [];
    for (const [key, { count, untilMs }] of [...this.#pairs.entries(), ...this.#strangers.entries()])
      if (untilMs > nowMs) bans.push({ ...pairOf(key), failures: count, heldUntilMs: untilMs });
    for (const [name, { count, untilMs }] of this.#names.entries())
      if (untilMs > nowMs) bans.push({ name, source: null, failures: count, heldUntilMs: untilMs });
    return bans.toSorted((a, b) => b.heldUntilMs - a.heldUntilMs);
  }

  /** Forgets the failures of a name everywhere, or of every name at a source. @returns how many were forgotten. */
  lift(nameOrSource: string): number {
    let lifted = this.#names.forget(nameOrSource) ? 1 : 0;
    for (const backoff of [this.#pairs, this.#strangers]) {
      for (const [key] of [...backoff.entries()]) {
        const { name, source } = pairOf(key);
        if ((name === nameOrSource || source === nameOrSource) && backoff.forget(key)) lifted++;
      }
    }
    return lifted;
  }
}

const pairKey = (name: string, source: string): string => `${source}\n${name}`;

function pairOf(key: string): { readonly name: string; readonly source: string } {
  const end = key.indexOf('\n');
  return { source: key.slice(0, end), name: key.slice(end + 1) };
}
