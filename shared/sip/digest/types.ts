import type { SigningKeySource } from '../../domain/site-secret.ts';

export type { Ban } from '../../domain/ban.ts';

import type { SipUri } from '../syntax/uri.ts';
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
  /** The credentials are for another Request-URI (RFC 7616 3.4.6). */
  | { readonly kind: 'mismatch'; readonly answer: Answer }
  | { readonly kind: 'backoff'; readonly retryAfterMs: number; readonly answer: Answer };

export interface VerifyOptions {
  readonly kind: DigestKind;
  /**
   * Where the asker is, as failures are counted and nonces bound: its source address, or behind a trusted proxy the phone's own
   * as the proxy tells it. Without line ends.
   */
  readonly source: string;
  readonly findHa1: FindHa1;
}

/** G7. */
export interface GuessLimits {
  /** Failures of one name at one source before it is held back; five times as many for a name over all sources. */
  readonly failures: number;
  /** The first hold; each further failure doubles it up to 60 s. */
  readonly firstMs: number;
}

/** A wrong answer to a challenge of ours. */
export interface FailedLogin {
  /** As the credentials have it; latin1, up to 255 characters, chosen by the sender. */
  readonly name: string;
  readonly source: string;
  readonly reason: 'unknown-user' | 'wrong-response';
  /** How many times in a row this name failed at this source. */
  readonly failures: number;
  /** Milliseconds since 1970; null while it is not held back. */
  readonly heldUntilMs: number | null;
}

/** What a login tells about who guesses, for other processes behind the same address. */
export interface Guess {
  readonly name: string;
  readonly source: string;
  readonly outcome: 'succeeded' | 'failed' | 'unknown';
}

export interface DigestOptions {
  readonly realm: string;
  /** Of several processes with the same keys: a nonce is good at the one that gave it, which alone knows its counts; stale elsewhere. */
  readonly processMark?: string | undefined;
  /** Offered in this order; default SHA-256 then MD5. */
  readonly algorithms?: readonly DigestAlgorithm[];
  /** Sign nonces; random for each process unless given. */
  readonly keys?: SigningKeySource;
  /** Default 300,000. */
  readonly nonceLifetimeMs?: number;
  /** Nonces whose use is remembered against replay; older ones become stale when it is full. Default 100,000. */
  readonly replayCapacity?: number;
  /** Default 8 and 1,000. */
  readonly limits?: GuessLimits;
  /** True for a URI that names this server or its domain; none does unless given. */
  readonly isOwn?: (uri: SipUri) => boolean;
  /** Hears of every response to a valid nonce of ours that was wrong. */
  readonly onFailure?: (failure: FailedLogin) => void;
  /** Hears of what {@link Guess} is worth telling: every failure, and a success that is news. */
  readonly onGuess?: ((guess: Guess) => void) | undefined;
  /** Milliseconds since 1970; `Date.now` unless given. */
  readonly now?: () => number;
}
