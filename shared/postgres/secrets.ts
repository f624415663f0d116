import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { Micros } from '../domain/micros.ts';
import { SITE_SECRETS, type SiteSecretName, type SiteSecrets } from '../domain/site-secret.ts';
import type { Queryable } from './database.ts';

const SECRET_BYTES = 32;

/** When each secret was made or last rotated; never what it is. */
export interface SecretAge {
  readonly name: SiteSecretName;
  readonly rotatedAt: Micros;
  /** True when something signed before the last rotation is still accepted. */
  readonly hasPrevious: boolean;
}

/** This site's secrets. One that `lastcall init` has not made yet is absent. Throws `LastcallError`. */
export async function readSecrets(database: Queryable): Promise<SiteSecrets> {
  const rows = await database.query<{ name: SiteSecretName; value: Buffer; previous: Buffer | null }>(
    'SELECT name, value, previous FROM lastcall.secrets WHERE name = ANY ($1)',
    [SITE_SECRETS],
  );
  return new Map(rows.map(({ name, value, previous }) => [name, { current: value, previous }]));
}

const AGE = 'name, rotated_at AS "rotatedAt", previous IS NOT NULL AS "hasPrevious"';

export async function listSecrets(database: Queryable): Promise<SecretAge[]> {
  return database.query<SecretAge>(`SELECT ${AGE} FROM lastcall.secrets ORDER BY name`);
}

/** Makes those that are not there yet; of racing starters one wins for each. As the owner. */
export async function makeSecrets(client: pg.Client): Promise<void> {
  const values = SITE_SECRETS.map(() => randomBytes(SECRET_BYTES));
  await client.query(
    `INSERT INTO lastcall.secrets (name, value) SELECT * FROM unnest($1::text[], $2::bytea[])
       ON CONFLICT (name) DO NOTHING`,
    [SITE_SECRETS, values],
  );
}

/**
 * Gives each a new value, keeps the one before it as `previous` and drops the one before that: whoever rotates twice at once
 * makes everything that was signed so far worthless. As the owner.
 */
export async function rotateSecrets(
  database: Queryable,
  names: readonly SiteSecretName[],
): Promise<SecretAge[]> {
  const values = names.map(() => randomBytes(SECRET_BYTES));
  return database.query<SecretAge>(
    `INSERT INTO lastcall.secrets AS s (name, value) SELECT * FROM unnest($1::text[], $2::bytea[])
       ON CONFLICT (name) DO UPDATE SET value = excluded.value, previous = s.value, rotated_at = clock_timestamp()
       RETURNING ${AGE}`,
    [names, values],
  );
}
