import type { SigningKeySource } from '../../domain/site-secret.ts';
import type { Answer } from '../transaction/user.ts';

/** RFC 8760. */
export type DigestAlgorithm = 'MD5' | 'SHA-256';

/** `www`: 401 with WWW-Authenticate, for a registrar. `proxy`: 407 with Proxy-Authenticate (RFC 3261 22.2, 22.3). */
export type DigestKind = 'www' | 'proxy';

/** Lower-case hex of hash(username ":" realm ":" password), or undefined for an unknown user. The name is latin1 as received. */
export type FindHa1 = (
  username: string,
  algorithm: DigestAlgorithm,
) => string | undefined | Promise<string | undefined>;

export type ChallengeReason =
  | 'no-credentials'
  | 'stale-nonce'
  | 'replayed'
  | 'malformed'
  | 'unknown-user'
  | 'wrong-response';

/** Every verdict but `ok` carries the answer to send. An unknown user and a wrong password look the same to the caller. */
export type DigestVerdict =
  | { readonly kind: 'ok'; readonly username: string; readonly algorithm: DigestAlgorithm }
  | { readonly kind: 'challenge'; readonly reason: ChallengeReason; readonly answer: Answer }
  | { readonly kind: 'backoff'; readonly retryAfterMs: number; readonly answer: Answer };

export interface VerifyOptions {
  readonly kind: DigestKind;
  /** Whom failures count against: the request's source address. */
  readonly source: string;
  readonly findHa1: FindHa1;
}

export interface DigestOptions {
  readonly realm: string;
  /** Offered in this order; default SHA-256 then MD5. */
  readonly algorithms?: readonly DigestAlgorithm[];
  /** Sign nonces; random for each process unless given. */
  readonly keys?: SigningKeySource;
  /** Default 300,000. */
  readonly nonceLifetimeMs?: number;
  /** Nonces whose use is remembered against replay; older ones become stale when it is full. Default 100,000. */
  readonly replayCapacity?: number;
  /** Failures from one source before it is held back, and the first hold; each further failure doubles it up to 60 s. Default 8 and 1,000. */
  readonly backoff?: { readonly failures: number; readonly firstMs: number };
  /** Milliseconds since 1970; `Date.now` unless given. */
  readonly now?: () => number;
}
