import { LastcallError } from '../../shared/domain/errors.ts';
import {
  type Allowance,
  type Bucket,
  fullBucket,
  refilled,
  taken,
  waitMs,
} from '../../shared/domain/token-bucket.ts';

const REMEMBERED = 10_000;

/** Buckets by name; the ones not used for longest are forgotten first. */
class Buckets {
  readonly #allowance: Allowance;
  readonly #buckets = new Map<string, Bucket>();

  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  peek(name: string, nowMs: number): Bucket {
    const bucket = this.#buckets.get(name);
    return bucket ? refilled(bucket, this.#allowance, nowMs) : fullBucket(this.#allowance, nowMs);
  }

  take(name: string, bucket: Bucket): void {
    this.#buckets.delete(name);
    this.#buckets.set(name, taken(bucket));
    const oldest = this.#buckets.keys().next().value;
    if (this.#buckets.size > REMEMBERED && oldest !== undefined) this.#buckets.delete(oldest);
  }

  waitMs(bucket: Bucket): number {
    return waitMs(bucket, this.#allowance);
  }
}

export interface RateLimitOptions {
  /** Of one token. */
  readonly requestsPerSecond: number;
  /** Wrong tokens and codes from one source. */
  readonly failedLoginsPerMinute: number;
}

/** What is left to a token, for the answer's headers. */
export interface Left {
  readonly limit: number;
  readonly remaining: number;
}

/** How much a token may ask, and how often a source may guess (G7). Times in milliseconds of one clock. */
export class RateLimits {
  readonly #limit: number;
  readonly #requests: Buckets;
  readonly #guesses: Buckets;
  /** A source's tokens that were good: somebody else's guesses at the same address do not hold them back. */
  readonly #trusted = new Set<string>();

  constructor({ requestsPerSecond, failedLoginsPerMinute }: RateLimitOptions) {
    this.#limit = requestsPerSecond;
    this.#requests = new Buckets({ perSecond: requestsPerSecond, burst: requestsPerSecond });
    this.#guesses = new Buckets({ perSecond: failedLoginsPerMinute / 60, burst: failedLoginsPerMinute });
  }

  /** Throws `TOO_MANY_REQUESTS`. */
  request(token: string, nowMs: number): Left {
    const bucket = this.#requests.peek(token, nowMs);
    const wait = this.#requests.waitMs(bucket);
    if (wait > 0) throw tooMany('requests with this token', wait);
    this.#requests.take(token, bucket);
    return { limit: this.#limit, remaining: Math.floor(bucket.left - 1) };
  }

  /** Before a log-in counts, a good one too: else guessing would cost nothing. Throws `TOO_MANY_REQUESTS`. */
  attempt(source: string, token: string | null, nowMs: number): void {
    if (token !== null && this.#trusted.has(`${source} ${token}`)) return;
    const wait = this.#guesses.waitMs(this.#guesses.peek(source, nowMs));
    if (wait > 0) throw tooMany('failed log-ins from this address', wait);
  }

  succeeded(source: string, token: string): void {
    if (this.#trusted.size >= REMEMBERED) this.#trusted.clear();
    this.#trusted.add(`${source} ${token}`);
  }

  failed(source: string, nowMs: number): void {
    this.#guesses.take(source, this.#guesses.peek(source, nowMs));
  }
}

function tooMany(what: string, wait: number): LastcallError {
  return new LastcallError('TOO_MANY_REQUESTS', { details: { what, retryAfterMs: wait } });
}
