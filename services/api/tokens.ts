import { timingSafeEqual } from 'node:crypto';
import { LastcallError } from '../../shared/domain/errors.ts';
import { allows, type Role } from '../../shared/domain/role.ts';
import { hashOf, type KnownToken } from '../../shared/postgres/tokens.ts';
import type { Clock } from '../../shared/runtime/clock.ts';

/** Whose token a request carries. */
export interface Principal {
  /** As `lastcall tokens list` shows it; `api.tokens.0` for the first one of the configuration. */
  readonly name: string;
  readonly role: Role;
}

/** The tokens in PostgreSQL. */
export interface TokenStore {
  read(): Promise<readonly KnownToken[]>;
  noteUsed(names: readonly string[]): Promise<void>;
}

const EMPTY: TokenStore = { read: async () => [], noteUsed: async () => {} };
const NOTE_EVERY_MS = 60_000;

/**
 * The bearer tokens that are let in: those of the configuration, and those in PostgreSQL as last read. While it is away,
 * what was read last counts: a PBX goes on reporting calls. Only hashes are kept.
 */
export class Tokens {
  readonly #configured: readonly (Principal & { readonly hash: Buffer })[];
  readonly #store: TokenStore;
  readonly #clock: Clock;
  #stored: ReadonlyMap<string, KnownToken> | null = null;
  #reading: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  readonly #used = new Set<string>();
  #notedAtMs = 0;

  constructor(
    configured: readonly { readonly token: string; readonly role: Role }[],
    clock: Clock,
    store: TokenStore = EMPTY,
  ) {
    this.#configured = configured.map(({ token, role }, index) => ({
      hash: hashOf(token),
      role,
      name: `api.tokens.${index}`,
    }));
    this.#clock = clock;
    this.#store = store;
  }

  /** Null: no token, or none that is known as of now. Throws `DATABASE_UNREACHABLE` when that was never to be known. */
  async identify(authorization: string | undefined): Promise<Principal | null> {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) return null;
    const hash = hashOf(token);
    const known = this.#find(hash);
    if (known) return known;
    await this.refresh();
    if (this.#stored === null) throw new LastcallError('DATABASE_UNREACHABLE');
    return this.#find(hash);
  }

  /** Throws `TOKEN_MISSING`, or `ROLE_INSUFFICIENT` when the token is known but not allowed this. */
  static permit(principal: Principal | null, needed: Role): asserts principal is Principal {
    if (principal === null) throw new LastcallError('TOKEN_MISSING');
    if (!allows(principal.role, needed))
      throw new LastcallError('ROLE_INSUFFICIENT', { details: { needed, role: principal.role } });
  }

  /** Resolves when the tokens have been read as they stood at this call or later, or cannot be read now. */
  refresh(): Promise<void> {
    if (this.#reading === null) return this.#read();
    this.#next ??= this.#reading.then(() => this.#read());
    return this.#next;
  }

  #read(): Promise<void> {
    this.#next = null;
    this.#reading = this.#store
      .read()
      .then(
        (tokens) => {
          this.#stored = new Map(tokens.map((token) => [token.hash.toString('hex'), token]));
        },
        () => {},
      )
      .finally(() => {
        this.#reading = null;
      });
    return this.#reading;
  }

  /** Every configured hash is compared, whether one matched or not: the time says nothing about the token. */
  #find(hash: Buffer): Principal | null {
    let found: Principal | null = null;
    for (const known of this.#configured) if (timingSafeEqual(known.hash, hash)) found = known;
    if (found) return found;
    const stored = this.#stored?.get(hash.toString('hex'));
    if (!stored || (stored.expiresAt !== null && stored.expiresAt <= this.#clock())) return null;
    this.#note(stored.name);
    return stored;
  }

  /** When a token was last used is known to the minute. */
  #note(name: string): void {
    this.#used.add(name);
    const nowMs = performance.now();
    if (this.#notedAtMs !== 0 && nowMs - this.#notedAtMs < NOTE_EVERY_MS) return;
    this.#notedAtMs = nowMs;
    const names = [...this.#used];
    this.#used.clear();
    void this.#store.noteUsed(names).catch(() => {});
  }
}
