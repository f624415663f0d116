import type { Micros } from '../domain/micros.ts';
import { withoutPassword } from '../domain/url-password.ts';
import type { Queryable } from './database.ts';

export interface Change {
  /** The token's name, or `user@host` of a command line. */
  readonly who: string;
  readonly via: 'rest' | 'cli';
  /** Address; of a command line null: the session's own is taken. */
  readonly source: string | null;
  /** `PUT /v1/terminals/:terminalId`, `terminals add` */
  readonly what: string;
  /** Without secrets. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly requestId: string | null;
}

export interface AuditEntry extends Change {
  readonly id: number;
  readonly at: Micros;
}

export async function recordChange(database: Queryable, change: Change): Promise<void> {
  const { details, requestId, source, via, what, who } = change;
  await database.query(
    `INSERT INTO lastcall.audit_log (who, via, source, what, details, request_id)
       VALUES ($1, $2, coalesce($3, host(inet_client_addr())), $4, $5::jsonb, $6)`,
    [who, via, source, what, JSON.stringify(details), requestId],
  );
}

/** Newest first; `before`: the id of the last one of the page before. */
export async function readAuditLog(
  database: Queryable,
  { before = null, limit, who = null }: { before?: number | null; limit: number; who?: string | null },
): Promise<AuditEntry[]> {
  return database.query<AuditEntry>(
    `SELECT id, at, who, via, source, what, details, request_id AS "requestId" FROM lastcall.audit_log
       WHERE ($1::bigint IS NULL OR id < $1) AND ($2::text IS NULL OR who = $2) ORDER BY id DESC LIMIT $3`,
    [before, who, limit],
  );
}

/** Removes what is older than `days`. */
export async function trimAuditLog(database: Queryable, days: number): Promise<void> {
  await database.query('SELECT lastcall.trim_audit_log($1)', [days]);
}

const SECRET = /^(password|ha1\w*|token|code|secret)$/i;

/** What was asked, as it may be kept: of a secret only that it was given. */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value === 'string') return withoutPassword(value);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET.test(name) ? '(given)' : withoutSecrets(inner),
    ]),
  );
}
