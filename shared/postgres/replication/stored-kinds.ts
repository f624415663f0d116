/** `replication_kinds`: what each kind of a direction was last copied from, and whether it streams. */
import type { KindReason, StoredKind } from '../../domain/decide-kinds.ts';
import { formatLsn, type Lsn, parseLsn } from '../../domain/lsn.ts';
import type { Connection } from '../wire/connection.ts';
import { quoteLiteral } from '../wire/quoting.ts';

export interface StoredKindRow extends StoredKind {
  /** Changes that committed before this are in the copy. */
  readonly copiedLsn: Lsn;
}

export async function readStoredKinds(
  connection: Connection,
  peer: string,
): Promise<Map<string, StoredKindRow>> {
  const { rows } = await connection.query(
    `SELECT kind, state, source, to_json(columns) AS columns, copied_lsn
     FROM lastcall.replication_kinds WHERE peer = $1`,
    [peer],
  );
  return new Map(
    rows.map((row) => [
      row['kind'] ?? '',
      {
        state: row['state'] as StoredKind['state'],
        source: row['source'] ?? null,
        columns: JSON.parse(row['columns'] ?? '[]') as string[],
        copiedLsn: parseLsn(row['copied_lsn'] ?? '0/0'),
      },
    ]),
  );
}

export interface KindState {
  readonly kind: string;
  readonly state: StoredKind['state'];
  readonly reason: KindReason | null;
  readonly detail: string | null;
  /** Absent: as they were. */
  readonly copied?: { readonly source: string; readonly lsn: Lsn };
  readonly columns?: readonly string[];
}

/** One statement for the simple protocol, so that it can stand in the transaction of a swap. */
export function storeKindsSql(peer: string, states: readonly KindState[]): string {
  const rows = states.map(({ copied, columns, ...state }) => ({
    ...state,
    source: copied?.source,
    lsn: copied && formatLsn(copied.lsn),
    columns,
  }));
  return `INSERT INTO lastcall.replication_kinds AS r (peer, kind, state, reason, detail, source, columns, copied_lsn)
    SELECT ${quoteLiteral(peer)}, s.kind, s.state, s.reason, s.detail, s.source, coalesce(s.columns, '{}'),
      coalesce(s.lsn, '0/0')
    FROM json_to_recordset(${quoteLiteral(JSON.stringify(rows))}) AS s (kind text, state text, reason text, detail text,
      source text, columns text[], lsn pg_lsn)
    ON CONFLICT (peer, kind) DO UPDATE SET state = excluded.state, reason = excluded.reason, detail = excluded.detail,
      source = coalesce(excluded.source, r.source), updated_at = clock_timestamp(),
      columns = CASE WHEN excluded.columns = '{}' THEN r.columns ELSE excluded.columns END,
      copied_lsn = greatest(r.copied_lsn, excluded.copied_lsn)`;
}
