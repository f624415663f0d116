import { createHash, timingSafeEqual } from 'node:crypto';
import { LastcallError } from '../../shared/domain/errors.ts';

/** Each role may do what the ones before it may. */
export const ROLES = ['read', 'record', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** The bearer tokens that are let in. Only their hashes are kept. */
export class Tokens {
  readonly #known: readonly { readonly hash: Buffer; readonly role: Role }[];

  constructor(tokens: readonly { readonly token: string; readonly role: Role }[]) {
    this.#known = tokens.map(({ token, role }) => ({ hash: sha256(token), role }));
  }

  /** Throws `TOKEN_MISSING`, or `ROLE_INSUFFICIENT` when the token is known but not allowed this. */
  authorize(authorization: string | undefined, needed: Role): void {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    const role = token === undefined ? null : this.#roleOf(token);
    if (role === null) throw new LastcallError('TOKEN_MISSING');
    if (ROLES.indexOf(role) < ROLES.indexOf(needed))
      throw new LastcallError('ROLE_INSUFFICIENT', { details: { needed, role } });
  }

  /** Every hash is compared, whether one matched or not: the time says nothing about the token. */
  #roleOf(token: string): Role | null {
    const hash = sha256(token);
    let role: Role | null = null;
    for (const known of this.#known) if (timingSafeEqual(known.hash, hash)) role = known.role;
    return role;
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
