import type { Publication, PublishedTable } from '../../domain/decide-kinds.ts';
import type { Connection } from '../wire/connection.ts';
import { quoteLiteral } from '../wire/quoting.ts';

export const slotName = (subscriber: string): string => `lastcall_${subscriber}`;
export const publicationName = (publisher: string): string => `lastcall_${publisher}`;

interface RawPublication {
  readonly isComplete: boolean;
  readonly kinds: readonly string[] | null;
  readonly tables: readonly (PublishedTable & { readonly kind: string })[] | null;
}

/**
 * What `publisher` publishes now, from its own catalog; `null` without a publication. `xmin` beside an OID shows also what
 * was altered and altered back.
 */
export async function readPublication(
  connection: Connection,
  publisher: string,
): Promise<Publication | null> {
  const [result] = await connection.simple(`
    SELECT json_build_object(
      'isComplete', p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate,
      'kinds', (SELECT json_agg(kind) FROM lastcall.kinds),
      'tables', (
        SELECT json_agg(json_build_object(
          'kind', k.kind,
          'source', concat_ws('/', c.oid, p.oid, p.xmin, r.oid, r.xmin),
          'replicaIdentity', c.relreplident,
          'columns', (
            SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
              'isKey', coalesce(a.attnum = ANY (i.indkey), false)) ORDER BY a.attnum)
            FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
            WHERE a.attrelid = c.oid AND a.attname = ANY (t.attnames))))
        FROM lastcall.kinds k
          JOIN pg_publication_tables t
            ON t.pubname = p.pubname AND t.schemaname = 'lastcall' AND t.tablename = k.kind || ${quoteLiteral(`_${publisher}`)}
          JOIN pg_class c ON c.relname = t.tablename AND c.relnamespace = 'lastcall'::regnamespace
          LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid))::text AS publication
    FROM pg_publication p WHERE p.pubname = ${quoteLiteral(publicationName(publisher))}`);
  const text = result?.rows[0]?.['publication'];
  if (text == null) return null;
  const { isComplete, kinds, tables } = JSON.parse(text) as RawPublication;
  return {
    isComplete,
    kinds: new Set(kinds ?? []),
    tables: new Map((tables ?? []).map((table) => [table.kind, table])),
  };
}
