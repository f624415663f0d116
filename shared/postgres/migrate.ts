import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { LastcallError } from '../domain/errors.ts';
import { packageRoot } from '../runtime/package-root.ts';
import { SQLSTATE } from './sqlstate.ts';

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

const CLAIM = 0x6c61_7374;
const ATTEMPTS = 10;

/**
 * Brings the `lastcall` schema to this program's version and returns the names of the migrations it applied.
 * Each migration is a transaction of its own under one advisory lock, so racing starters wait and then find nothing to
 * do; stopped after any of them, the next run goes on there. Throws `LastcallError` `SCHEMA_NEWER` when the database is
 * ahead of this program, `SCHEMA_CHANGED` when an applied file was edited. `migrations`: fewer, for a version before.
 */
export async function migrate(
  client: Client,
  ownSite: string,
  migrations?: readonly Migration[],
): Promise<string[]> {
  await client.query('SELECT pg_advisory_lock($1)', [CLAIM]);
  try {
    return await applyMissing(client, ownSite, migrations ?? (await readMigrations()));
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [CLAIM]);
  }
}

export async function readMigrations(folder = join(packageRoot(), 'sql')): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_.*\.sql$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(folder, name), 'utf8');
      return {
        version: Number(name.slice(0, 4)),
        name,
        sql,
        checksum: createHash('sha256').update(sql).digest('hex'),
      };
    }),
  );
}

async function applyMissing(
  client: Client,
  ownSite: string,
  migrations: readonly Migration[],
): Promise<string[]> {
  await client.query('CREATE SCHEMA IF NOT EXISTS lastcall');
  await client.query(
    `CREATE TABLE IF NOT EXISTS lastcall.migrations
       (version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
  );
  const { rows } = await client.query<{ version: number; name: string; checksum: string }>(
    'SELECT version, name, checksum FROM lastcall.migrations',
  );
  const applied = new Map(rows.map((row) => [row.version, row]));
  refuseForeignHistory(migrations, applied);
  const missing = migrations.filter((migration) => !applied.has(migration.version));
  for (const migration of missing) await unraced(() => apply(client, ownSite, migration));
  return missing.map((migration) => migration.name);
}

function refuseForeignHistory(
  migrations: readonly Migration[],
  applied: ReadonlyMap<number, { name: string; checksum: string }>,
): void {
  const newest = Math.max(0, ...migrations.map((migration) => migration.version));
  const ahead = [...applied.keys()].filter((version) => version > newest);
  if (ahead.length > 0)
    throw new LastcallError('SCHEMA_NEWER', {
      details: { databaseVersion: Math.max(...ahead), programVersion: newest },
    });
  for (const migration of migrations) {
    const before = applied.get(migration.version);
    if (before && before.checksum !== migration.checksum)
      throw new LastcallError('SCHEMA_CHANGED', { details: { migration: migration.name } });
  }
}

/**
 * Roles belong to the whole cluster, and the lock to one database: another site's database there may change the same
 * role in the same instant. PostgreSQL then says "tuple concurrently updated" (XX000), and the next try finds it done.
 */
export async function unraced<T>(change: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await change();
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (attempt === ATTEMPTS || (code !== SQLSTATE.INTERNAL_ERROR && code !== SQLSTATE.UNIQUE_VIOLATION))
        throw error;
      await delay(Math.random() * 50 * attempt);
    }
  }
}

async function apply(client: Client, ownSite: string, migration: Migration): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query('SET LOCAL search_path = lastcall, pg_temp');
    // Roles are made by whoever may; everything after belongs to lastcall_owner.
    if (migration.version > 1) await client.query('SET LOCAL ROLE lastcall_owner');
    await client.query(migration.sql.replaceAll(`:'own_site'`, client.escapeLiteral(ownSite)));
    await client.query('RESET ROLE');
    await client.query('INSERT INTO lastcall.migrations (version, name, checksum) VALUES ($1, $2, $3)', [
      migration.version,
      migration.name,
      migration.checksum,
    ]);
    await client.query('COMMIT');
  } catch (cause) {
    await client.query('ROLLBACK');
    throw cause;
  }
}
