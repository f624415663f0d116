import { createHash } from 'node:crypto';
import { LastcallError } from '../domain/errors.ts';
import type { Feature } from '../domain/feature-code.ts';
import type { Micros } from '../domain/micros.ts';
import type { StoredTerminal, Terminal } from '../domain/terminal.ts';
import type { Queryable } from './database.ts';

interface TerminalRow {
  readonly terminal_id: number;
  readonly user_id: number | null;
  readonly username: string;
  readonly aor: string;
  readonly ha1_md5: string | null;
  readonly ha1_sha256: string | null;
  readonly number: string;
  readonly number_id: number | null;
  readonly features: Feature[];
  readonly enabled: boolean;
  readonly updated_at: Micros;
  readonly site: string;
}

const COLUMNS =
  'terminal_id, user_id, username, aor, ha1_md5, ha1_sha256, number, number_id, features, enabled';

/** What names a terminal: exactly one of these. */
export type TerminalKey =
  | { readonly terminalId: number }
  | { readonly username: string }
  | { readonly number: string }
  | { readonly aor: string };

const KEY_COLUMN = { terminalId: 'terminal_id', username: 'username', number: 'number', aor: 'aor' } as const;

/** Each of the keys' terminals, for many keys of one kind in one statement; a key without a terminal is absent. */
export async function findTerminals<K extends keyof typeof KEY_COLUMN>(
  database: Queryable,
  by: K,
  keys: readonly (string | number)[],
  budgetMs?: number,
): Promise<Map<string | number, StoredTerminal>> {
  const column = KEY_COLUMN[by];
  const type = by === 'terminalId' ? 'bigint' : 'text';
  // The candidates by index first; whether one of them is the freshest version of its terminal is asked of the view.
  const rows = await database.query<TerminalRow>(
    `SELECT ${COLUMNS}, updated_at, site FROM lastcall.terminals
     WHERE terminal_id = ANY (ARRAY(SELECT terminal_id FROM lastcall.terminals_by_site WHERE ${column} = ANY($1::${type}[])))
       AND ${column} = ANY($1::${type}[])`,
    [keys],
    budgetMs,
  );
  return new Map(rows.map((row) => [row[column], toTerminal(row)]));
}

/** By terminal id, number, username or address of record, tried in that order of the text's shape. */
export async function findTerminal(
  database: Queryable,
  key: TerminalKey,
  budgetMs?: number,
): Promise<StoredTerminal | null> {
  const [by, value] = Object.entries(key)[0] as [keyof typeof KEY_COLUMN, string | number];
  return (await findTerminals(database, by, [value], budgetMs)).get(value) ?? null;
}

const NAME_COLUMNS = ['number', 'username', 'aor'] as const;

/**
 * What an operator or a PBX says: a number, a username or an address of record, the first of them that some terminal
 * has. For many names in one statement; a name without a terminal is absent.
 */
export async function findTerminalsByName(
  database: Queryable,
  names: readonly string[],
  budgetMs?: number,
): Promise<Map<string, StoredTerminal>> {
  const candidates = NAME_COLUMNS.map(
    (column) => `SELECT terminal_id FROM lastcall.terminals_by_site WHERE ${column} = ANY($1::text[])`,
  );
  const rows = await database.query<TerminalRow>(
    `SELECT ${COLUMNS}, updated_at, site FROM lastcall.terminals
     WHERE terminal_id = ANY (ARRAY(${candidates.join(' UNION ')}))`,
    [names],
    budgetMs,
  );
  const asked = new Set(names);
  const found = new Map<string, StoredTerminal>();
  for (const column of NAME_COLUMNS)
    for (const row of rows)
      if (asked.has(row[column]) && !found.has(row[column])) found.set(row[column], toTerminal(row));
  return found;
}

export async function findTerminalByName(database: Queryable, name: string): Promise<StoredTerminal | null> {
  return (await findTerminalsByName(database, [name])).get(name) ?? null;
}

/** In order of terminal id, after `after`, at most `limit`. */
export async function listTerminals(database: Queryable, after = 0, limit = 1000): Promise<StoredTerminal[]> {
  const rows = await database.query<TerminalRow>(
    `SELECT ${COLUMNS}, updated_at, site FROM lastcall.terminals WHERE terminal_id > $1 ORDER BY terminal_id LIMIT $2`,
    [after, limit],
  );
  return rows.map(toTerminal);
}

/** Until the transaction ends no other one writes terminals at this site. */
export async function lockTerminals(transaction: Queryable): Promise<void> {
  await transaction.query(`SELECT pg_advisory_xact_lock(hashtext('lastcall.terminals'))`);
}

/** Throws `TERMINAL_EXISTS` when its id, username, number or address of record is taken. */
export async function addTerminal(database: Queryable, terminal: Terminal): Promise<void> {
  await database.query(
    `INSERT INTO lastcall.terminals (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    values(terminal),
  );
}

/** Throws `TERMINAL_NOT_FOUND`, or `TERMINAL_EXISTS` when it would take another one's name. */
export async function replaceTerminal(database: Queryable, terminal: Terminal): Promise<void> {
  const rows = await database.query(
    `UPDATE lastcall.terminals SET (${COLUMNS}) = ROW($1::bigint, $2::bigint, $3, $4, $5, $6, $7, $8::bigint, $9::text[], $10::boolean)
     WHERE terminal_id = $1 RETURNING terminal_id`,
    values(terminal),
  );
  if (rows.length === 0)
    throw new LastcallError('TERMINAL_NOT_FOUND', { details: { terminalId: terminal.terminalId } });
}

/** Removes the terminal and its last calls from every table of every site (S3). Throws `TERMINAL_NOT_FOUND`. */
export async function removeTerminal(database: Queryable, terminalId: number): Promise<void> {
  const rows = await database.query(
    'DELETE FROM lastcall.terminals WHERE terminal_id = $1 RETURNING terminal_id',
    [terminalId],
  );
  if (rows.length === 0) throw new LastcallError('TERMINAL_NOT_FOUND', { details: { terminalId } });
}

/** The two HA1 of a password (RFC 7616 section 3.4.2). */
export function digestSecrets(
  username: string,
  realm: string,
  password: string,
): { ha1Md5: string; ha1Sha256: string } {
  const hash = (algorithm: string) =>
    createHash(algorithm).update(`${username}:${realm}:${password}`).digest('hex');
  return { ha1Md5: hash('md5'), ha1Sha256: hash('sha256') };
}

function values(terminal: Terminal): unknown[] {
  return [
    terminal.terminalId,
    terminal.userId,
    terminal.username,
    terminal.aor,
    terminal.ha1Md5,
    terminal.ha1Sha256,
    terminal.number,
    terminal.numberId,
    terminal.features,
    terminal.enabled,
  ];
}

function toTerminal(row: TerminalRow): StoredTerminal {
  return {
    terminalId: row.terminal_id,
    userId: row.user_id,
    username: row.username,
    aor: row.aor,
    ha1Md5: row.ha1_md5,
    ha1Sha256: row.ha1_sha256,
    number: row.number,
    numberId: row.number_id,
    features: row.features,
    enabled: row.enabled,
    updatedAt: row.updated_at,
    site: row.site,
  };
}
