import { createHash, randomBytes } from 'node:crypto';
import { LastcallError } from '../domain/errors.ts';
import type { Micros } from '../domain/micros.ts';
import type { Role } from '../domain/role.ts';
import type { Queryable } from './database.ts';

const TOKEN_BYTES = 32;

export interface TokenEntry {
  readonly name: string;
  readonly role: Role;
  readonly oneTime: boolean;
  readonly createdBy: string;
  readonly createdAt: Micros;
  /** Null: never. */
  readonly expiresAt: Micros | null;
  readonly lastUsedAt: Micros | null;
}

/** A token as its owner gets it, this once: only its hash is kept. */
export interface MadeToken extends TokenEntry {
  readonly token: string;
}

export interface NewToken {
  readonly name: string;
  readonly role: Role;
  readonly createdBy: string;
  /** Null: it never expires. A one-time code must. */
  readonly expiresInSeconds: number | null;
  readonly oneTime?: boolean;
}

const ENTRY = `name, role, one_time AS "oneTime", created_by AS "createdBy", created_at AS "createdAt",
  expires_at AS "expiresAt", last_used_at AS "lastUsedAt"`;

/** Throws `TOKEN_EXISTS` when the name is taken by one that is still good. */
export async function addToken(database: Queryable, wanted: NewToken): Promise<MadeToken> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const { createdBy, expiresInSeconds, name, oneTime = false, role } = wanted;
  await database.query('DELETE FROM lastcall.api_tokens WHERE expires_at < clock_timestamp()');
  const [made] = await database.query<TokenEntry>(
    `INSERT INTO lastcall.api_tokens (name, role, hash, created_by, expires_at, one_time)
       VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5), $6) ON CONFLICT (name) DO NOTHING RETURNING ${ENTRY}`,
    [name, role, hashOf(token), createdBy, expiresInSeconds, oneTime],
  );
  if (!made) throw new LastcallError('TOKEN_EXISTS', { details: { name } });
  return { ...made, token };
}

export async function listTokens(database: Queryable): Promise<TokenEntry[]> {
  return database.query<TokenEntry>(
    `SELECT ${ENTRY} FROM lastcall.api_tokens WHERE expires_at IS NULL OR expires_at > clock_timestamp() ORDER BY name`,
  );
}

/** Throws `TOKEN_NOT_FOUND`. */
export async function revokeToken(database: Queryable, name: string): Promise<void> {
  const gone = await database.query('DELETE FROM lastcall.api_tokens WHERE name = $1 RETURNING name', [name]);
  if (gone.length === 0) throw new LastcallError('TOKEN_NOT_FOUND', { details: { name } });
}

/** Exchanges a one-time code for a token; of two that try one wins. Null when it is no code, used up or too old. */
export async function redeemCode(
  database: Queryable,
  code: string,
  expiresInSeconds: number,
): Promise<MadeToken | null> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const name = `console-${randomBytes(4).toString('hex')}`;
  const [made] = await database.query<TokenEntry>(
    `WITH code AS (DELETE FROM lastcall.api_tokens WHERE hash = $1 AND one_time AND expires_at > clock_timestamp()
       RETURNING name, role)
     INSERT INTO lastcall.api_tokens (name, role, hash, created_by, expires_at)
       SELECT $2, role, $3, name, clock_timestamp() + make_interval(secs => $4) FROM code RETURNING ${ENTRY}`,
    [hashOf(code), name, hashOf(token), expiresInSeconds],
  );
  return made ? { ...made, token } : null;
}

export interface KnownToken {
  readonly name: string;
  readonly role: Role;
  readonly hash: Buffer;
  readonly expiresAt: Micros | null;
}

/** Every token that may be let in; codes are none. */
export async function readTokenHashes(database: Queryable, budgetMs?: number): Promise<KnownToken[]> {
  return database.query<KnownToken>(
    `SELECT name, role, hash, expires_at AS "expiresAt" FROM lastcall.api_tokens
       WHERE NOT one_time AND (expires_at IS NULL OR expires_at > clock_timestamp())`,
    [],
    budgetMs,
  );
}

export async function noteTokensUsed(database: Queryable, names: readonly string[]): Promise<void> {
  await database.query(
    'UPDATE lastcall.api_tokens SET last_used_at = clock_timestamp() WHERE name = ANY ($1::text[])',
    [names],
  );
}

export function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
