import { readKinds } from '../kinds/kind.ts';
import { tableOf } from '../kinds/kind-sql.ts';
import type { Connection } from '../wire/connection.ts';
import { quoteLiteral } from '../wire/quoting.ts';
import type { CopyColumn, CopyTable } from './table-layout.ts';

/**
 * The copies of one peer as this site's catalog has them, by table name, in the order in which they are locked and copied;
 * empty for a site that is not known here.
 */
export async function readCopyTables(connection: Connection, peer: string): Promise<Map<string, CopyTable>> {
  const kinds = await readKinds(connection);
  const [result] = await connection.simple(`
    SELECT c.relname, c.reltype, a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod) AS type,
      coalesce(a.attnum = ANY (i.indkey), false) AS is_key
    FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.relnamespace = 'lastcall'::regnamespace AND c.relkind = 'r'
      AND c.relname IN (${kinds.map((kind) => quoteLiteral(tableOf(kind, peer))).join(', ')})
    ORDER BY c.relname, a.attnum`);
  const rows = result?.rows ?? [];
  return new Map(
    kinds.flatMap((kind): [string, CopyTable][] => {
      const table = tableOf(kind, peer);
      const columns = rows.filter((row) => row['relname'] === table);
      if (columns.length === 0) return [];
      const rowTypeOid = Number(columns[0]?.['reltype']);
      return [[table, { kind, table, rowTypeOid, columns: columns.map(toColumn) }]];
    }),
  );
}

function toColumn(row: Readonly<Record<string, string | null>>): CopyColumn {
  return {
    name: row['attname'] ?? '',
    typeOid: Number(row['atttypid']),
    type: row['type'] ?? '',
    isKey: row['is_key'] === 't',
  };
}
