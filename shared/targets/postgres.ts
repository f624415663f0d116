/** PostgreSQL: `postgres://user:password@host/database`; tables go to the first schema of the login's search_path. */
import { connectToPrimary } from '../postgres/replication/primary.ts';
import { quoteIdentifier } from '../postgres/wire/quoting.ts';
import { ConnectionLost, ServerError } from '../postgres/wire/server-error.ts';
import { TargetUnreachable } from './sink.ts';
import { type SqlDialect, type SqlSession, SqlSink } from './sql-sink.ts';

export async function openPostgresSink(url: string): Promise<SqlSink> {
  const connection = await connectToPrimary(url, {
    applicationName: 'lastcall-target',
    settings: { TimeZone: 'UTC', DateStyle: 'ISO' },
  }).catch(translate);
  const session: SqlSession = {
    query: async (sql, parameters = []) => {
      const { rows } = await connection.query(sql, parameters).catch(translate);
      return [...rows] as Record<string, string | null>[];
    },
    close: () => connection.close(),
  };
  return new SqlSink(session, DIALECT);
}

function translate(cause: unknown): never {
  const isLost =
    cause instanceof ConnectionLost || (cause instanceof ServerError && /^(08|57|53)/.test(cause.code));
  if (isLost) throw new TargetUnreachable((cause as Error).message, { cause });
  throw cause;
}

const isDate = (type: string): boolean => type.endsWith('with time zone');

const DIALECT: SqlDialect = {
  quote: quoteIdentifier,
  parameter: (number, type) =>
    isDate(type) ? `($${number}::text || '+00')::${type}` : `$${number}::text::${type}`,
  cell: ({ name, type }) => {
    const column = `t.${quoteIdentifier(name)}`;
    return isDate(type)
      ? `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')`
      : `${column}::text`;
  },
  columnType: ({ type }) => type,
  tableOptions: '',
  onConflict: (keys, replaced) => {
    const target = `ON CONFLICT (${keys.map(quoteIdentifier).join(', ')})`;
    if (replaced.length === 0) return `${target} DO NOTHING`;
    const set = replaced.map((name) => `${quoteIdentifier(name)} = excluded.${quoteIdentifier(name)}`);
    return `${target} DO UPDATE SET ${set.join(', ')}`;
  },
  columnsOfTable: `SELECT a.attname::text AS column_name FROM pg_attribute a
    WHERE a.attrelid = to_regclass(quote_ident($1::text)) AND a.attnum > 0 AND NOT a.attisdropped`,
};
