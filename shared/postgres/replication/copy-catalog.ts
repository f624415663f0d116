import type { Connection } from '../wire/connection.ts';
import { quoteLiteral } from '../wire/quoting.ts';
import { type CopyColumn, type CopyTable, TABLE_KINDS, type TableKind } from './table-layout.ts';

/** The copies of one peer as this site's catalog has them, by table name. */
export async function readCopyTables(connection: Connection, peer: string): Promise<Map<string, CopyTable>> {
  const names = TABLE_KINDS.map((kind) => quoteLiteral(`${kind}_${peer}`)).join(', ');
  const [result] = await connection.simple(`
    SELECT c.relname, c.reltype, a.attname, a.atttypid, coalesce(a.attnum = ANY (i.indkey), false) AS is_key
    FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.relnamespace = 'lastcall'::regnamespace AND c.relname IN (${names})
    ORDER BY c.relname, a.attnum`);
  const tables = new Map<string, CopyTable & { columns: CopyColumn[] }>();
  for (const row of result?.rows ?? []) {
    const table = row['relname'] ?? '';
    let copy = tables.get(table);
    if (!copy) {
      copy = {
        kind: table.slice(0, -peer.length - 1) as TableKind,
        table,
        rowTypeOid: Number(row['reltype']),
        columns: [],
      };
      tables.set(table, copy);
    }
    copy.columns.push({
      name: row['attname'] ?? '',
      typeOid: Number(row['atttypid']),
      isKey: row['is_key'] === 't',
    });
  }
  return tables;
}
