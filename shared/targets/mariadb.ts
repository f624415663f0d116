/** MariaDB and MySQL: `mariadb://user:password@host:3306/database?ssl=true`. */
import { createConnection, SqlError } from 'mariadb';
import { type Cell, type TargetColumn, TargetUnreachable } from './sink.ts';
import { type SqlDialect, type SqlSession, SqlSink } from './sql-sink.ts';

const TIMEOUT_MS = 5_000;
/** A statement that a server has not answered for so long will not be. */
const SOCKET_TIMEOUT_MS = 60_000;

export async function openMariadbSink(url: string): Promise<SqlSink> {
  const { hostname, port, username, password, pathname, searchParams } = new URL(url);
  const connection = await createConnection({
    host: hostname,
    port: Number(port || 3306),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
    connectTimeout: TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    ...(searchParams.get('ssl') === 'true' && { ssl: true }),
    bigIntAsNumber: false,
    dateStrings: true,
    // Its error messages would hold the values of rows.
    logParam: false,
  }).catch(translate);
  // A lost connection is told by the statement that follows; without a listener it would end the process.
  connection.on('error', () => undefined);
  const session: SqlSession = {
    query: async (sql, parameters = []) => {
      const result: unknown = await connection.query(sql, [...parameters]).catch(translate);
      return Array.isArray(result) ? result.map(textRow) : [];
    },
    close: async () => {
      await connection.end().catch(() => connection.destroy());
    },
  };
  // Dates are UTC; `INSERT` of what does not fit is an error, never cut.
  await session.query(`SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,ANSI_QUOTES'`);
  await session.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
  return new SqlSink(session, DIALECT);
}

function textRow(row: Readonly<Record<string, unknown>>): Record<string, Cell> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)]),
  );
}

/** Fatal ones have lost the connection. */
function translate(cause: unknown): never {
  const { code = '', message } = cause as { code?: string; message: string };
  // The socket's own errors come as they are: ECONNRESET.
  const ofSocket = /^E(?!R_)[A-Z]+$/.test(code);
  const ofServer = cause instanceof SqlError && (cause.fatal || /^08/.test(cause.sqlState ?? ''));
  if (ofSocket || ofServer) throw new TargetUnreachable(message, { cause });
  throw cause;
}

const isDate = (type: string): boolean => type.endsWith('with time zone');

const DIALECT: SqlDialect = {
  quote: (name) => `\`${name.replaceAll('`', '``')}\``,
  parameter: (_number, type) => (type === 'boolean' ? `(? = 'true')` : '?'),
  cell: ({ name, type }) => {
    const column = `t.\`${name}\``;
    if (type === 'boolean') return `IF(${column} IS NULL, NULL, IF(${column}, 'true', 'false'))`;
    if (isDate(type)) return `DATE_FORMAT(${column}, '%Y-%m-%d %H:%i:%s.%f')`;
    return `CAST(${column} AS CHAR)`;
  },
  columnType: ({ type }: TargetColumn, isKey) => {
    if (type === 'bigint') return 'BIGINT';
    if (type === 'integer') return 'INT';
    if (type === 'boolean') return 'BOOLEAN';
    if (type === 'uuid') return 'CHAR(36) CHARACTER SET ascii';
    if (isDate(type)) return 'DATETIME(6)';
    return isKey ? 'VARCHAR(255)' : 'LONGTEXT';
  },
  // Keys that differ in case or in blanks at the end are different keys.
  tableOptions: 'ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin',
  onConflict: (keys, replaced) => {
    const columns = replaced.length > 0 ? replaced : keys;
    return `ON DUPLICATE KEY UPDATE ${columns.map((name) => `\`${name}\` = VALUES(\`${name}\`)`).join(', ')}`;
  },
  columnsOfTable:
    'SELECT column_name AS column_name FROM information_schema.columns WHERE table_schema = database() AND table_name = ?',
};
