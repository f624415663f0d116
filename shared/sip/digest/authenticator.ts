import type { SipRequest } from '../message/message.ts';
import type { HeaderLine } from '../message/response.ts';
import { randomKeys } from '../random-keys.ts';
import { type DigestFields, formatDigestFields, parseDigestFields } from '../syntax/digest-fields.ts';
import type { SipUri } from '../syntax/uri.ts';
import type { Answer } from '../transaction/user.ts';
import { Guesses } from './guesses.ts';
import { NonceSource } from './nonce.ts';
import { ReplayGuard } from './replay.ts';
import { digestResponse, equalSecret, parseAlgorithm } from './response.ts';
import { isSameTarget } from './same-target.ts';
import type {
  Ban,
  ChallengeReason,
  DigestAlgorithm,
  DigestKind,
  DigestOptions,
  DigestVerdict,
  FailedLogin,
  Guess,
  VerifyOptions,
} from './types.ts';

/** Credentials with everything a digest needs. `count` is undefined without qop, as RFC 2069 clients answer. */
interface Credentials {
  readonly username: string;
  readonly algorithm: DigestAlgorithm;
  readonly nonce: string;
  readonly uri: string;
  readonly response: string;
  readonly auth: { readonly nc: string; readonly cnonce: string } | undefined;
}

const HEADERS = {
  www: { credentials: 'authorization', challenge: 'WWW-Authenticate', status: 401 },
  proxy: { credentials: 'proxy-authorization', challenge: 'Proxy-Authenticate', status: 407 },
} as const;

const DEFAULT_ALGORITHMS: readonly DigestAlgorithm[] = ['SHA-256', 'MD5'];
const DEFAULT_NONCE_LIFETIME_MS = 300_000;
const DEFAULT_REPLAY_CAPACITY = 100_000;

const MAX_NAME_LENGTH = 255;
const MISMATCH: DigestVerdict = {
  kind: 'mismatch',
  answer: { status: 400, reason: 'Credentials Are For Another URI' },
};

/** Compared against for unknown users, so that they take as long as wrong passwords. */
const NO_HA1 = '0'.repeat(64);

/** Server-side digest authentication (RFC 3261 22, RFC 8760). Knows no users: `findHa1` does. */
export class DigestAuthenticator {
  readonly #realm: string;
  readonly #algorithms: readonly DigestAlgorithm[];
  readonly #nonceLifetimeMs: number;
  readonly #nonces: NonceSource;
  readonly #replay: ReplayGuard;
  readonly #guesses: Guesses;
  readonly #isOwn: (uri: SipUri) => boolean;
  readonly #onFailure: DigestOptions['onFailure'];
  readonly #onGuess: DigestOptions['onGuess'];
  readonly #now: () => number;

  constructor(options: DigestOptions) {
    this.#realm = options.realm;
    this.#algorithms = options.algorithms ?? DEFAULT_ALGORITHMS;
    this.#nonceLifetimeMs = options.nonceLifetimeMs ?? DEFAULT_NONCE_LIFETIME_MS;
    this.#nonces = new NonceSource(
      options.keys ?? randomKeys(),
      `${options.realm}${options.processMark ?? ''}`,
    );
    this.#replay = new ReplayGuard(options.replayCapacity ?? DEFAULT_REPLAY_CAPACITY, this.#nonceLifetimeMs);
    this.#guesses = new Guesses(options.limits);
    this.#isOwn = options.isOwn ?? (() => false);
    this.#onFailure = options.onFailure;
    this.#onGuess = options.onGuess;
    this.#now = options.now ?? Date.now;
  }

  /** Never rejects for what a request holds; rejects only when `findHa1` does. */
  async verify(request: SipRequest, options: VerifyOptions): Promise<DigestVerdict> {
    const { kind, source } = options;
    const fields = this.#credentialsFields(request, kind);
    if (fields === undefined) return this.#challenge(options, 'no-credentials');
    const credentials = this.#read(fields);
    if (credentials === undefined) return this.#challenge(options, 'malformed');
    const { algorithm, nonce, username } = credentials;
    const issuedMs = this.#nonces.issuedAt(nonce, source);
    if (issuedMs === undefined || this.#now() - issuedMs > this.#nonceLifetimeMs)
      return this.#challenge(options, 'stale-nonce');
    if (!isSameTarget(credentials.uri, request.requestUri, this.#isOwn)) return MISMATCH;
    if (this.#waitMs(username, source) > 0) return heldBack(this.#waitMs(username, source));
    const ha1 = await options.findHa1(username, algorithm);
    // Once more: of many guesses sent at once, only the allowed ones are compared.
    if (this.#waitMs(username, source) > 0) return heldBack(this.#waitMs(username, source));
    const expected = digestResponse({ ...credentials, ha1: ha1 ?? NO_HA1, method: request.method });
    const matches = equalSecret(expected, credentials.response);
    if (ha1 === undefined) return this.#failed(options, username, 'unknown-user');
    if (!matches) return this.#failed(options, username, 'wrong-response');
    return this.#accept(credentials, issuedMs, options);
  }

  /** What another process behind the same address was told: it counts here as well (G7). */
  heard({ name, outcome, source }: Guess): void {
    if (outcome === 'succeeded') this.#guesses.succeeded(name, source);
    else this.#guesses.failed(name, source, outcome === 'failed', this.#now());
  }

  /** Who is held back now. */
  bans(): readonly Ban[] {
    return this.#guesses.bans(this.#now());
  }

  /** Lets a name in everywhere, or every name at a source; returns how many counts were forgotten. */
  lift(nameOrSource: string): number {
    return this.#guesses.lift(nameOrSource);
  }

  /** The answer that asks for credentials, to be given to this source. */
  challenge(kind: DigestKind, source: string, stale = false): Answer {
    const { challenge, status } = HEADERS[kind];
    const nonce = this.#nonces.issue(this.#now(), source);
    return {
      status,
      headers: this.#algorithms.map((each): HeaderLine => [challenge, this.#offer(each, nonce, stale)]),
    };
  }

  #accept(credentials: Credentials, issuedMs: number, options: VerifyOptions): DigestVerdict {
    const { algorithm, auth, nonce, username } = credentials;
    const count = auth === undefined ? 1 : Number.parseInt(auth.nc, 16);
    if (!this.#replay.accept(nonce, issuedMs, count, this.#now()))
      return this.#challenge(options, 'replayed');
    if (this.#guesses.succeeded(username, options.source))
      this.#onGuess?.({ name: username, source: options.source, outcome: 'succeeded' });
    return { kind: 'ok', username, algorithm };
  }

  #waitMs(name: string, source: string): number {
    return this.#guesses.remainingMs(name, source, this.#now());
  }

  #failed(options: VerifyOptions, name: string, reason: FailedLogin['reason']): DigestVerdict {
    const { source } = options;
    const exists = reason !== 'unknown-user';
    const { count, untilMs } = this.#guesses.failed(name, source, exists, this.#now());
    this.#onGuess?.({ name, source, outcome: exists ? 'failed' : 'unknown' });
    this.#onFailure?.({ name, source, reason, failures: count, heldUntilMs: untilMs === 0 ? null : untilMs });
    return this.#challenge(options, reason);
  }

  /** `stale` tells a client to try again with the new nonce and the same password (RFC 7616 3.3). */
  #challenge({ kind, source }: VerifyOptions, reason: ChallengeReason): DigestVerdict {
    const stale = reason === 'stale-nonce' || reason === 'replayed';
    return { kind: 'challenge', reason, answer: this.challenge(kind, source, stale) };
  }

  #offer(algorithm: DigestAlgorithm, nonce: string, stale: boolean): string {
    const fields: [string, string][] = [
      ['realm', this.#realm],
      ['nonce', nonce],
      ['algorithm', algorithm],
      ['qop', 'auth'],
    ];
    if (stale) fields.push(['stale', 'true']);
    return formatDigestFields(fields);
  }

  /** The credentials for our realm; others belong to other servers on the way (RFC 3261 22.3). */
  #credentialsFields(request: SipRequest, kind: DigestKind): DigestFields | undefined {
    for (const value of request.headerLines(HEADERS[kind].credentials)) {
      const fields = parseDigestFields(value);
      if (fields?.get('realm') === this.#realm) return fields;
    }
    return undefined;
  }

  #read(fields: DigestFields): Credentials | undefined {
    const algorithm = parseAlgorithm(fields.get('algorithm'));
    const [username, nonce, uri, response] = ['username', 'nonce', 'uri', 'response'].map((name) =>
      fields.get(name),
    );
    if (algorithm === undefined || !this.#algorithms.includes(algorithm)) return undefined;
    if (!username || username.length > MAX_NAME_LENGTH || !nonce || !uri || !response) return undefined;
    const auth = readAuth(fields);
    return auth === 'malformed'
      ? undefined
      : { username, algorithm, nonce, uri, response: response.toLowerCase(), auth };
  }
}

function readAuth(fields: DigestFields): Credentials['auth'] | 'malformed' {
  const qop = fields.get('qop');
  if (qop === undefined) return undefined;
  const nc = fields.get('nc') ?? '';
  const cnonce = fields.get('cnonce');
  const isCount =
    nc.length === 8 && Number.parseInt(nc, 16).toString(16).padStart(8, '0') === nc.toLowerCase();
  return qop.toLowerCase() === 'auth' && isCount && cnonce !== undefined ? { nc, cnonce } : 'malformed';
}

function heldBack(retryAfterMs: number): DigestVerdict {
  const retryAfter = String(Math.ceil(retryAfterMs / 1000));
  return { kind: 'backoff', retryAfterMs, answer: { status: 503, headers: [['Retry-After', retryAfter]] } };
}
