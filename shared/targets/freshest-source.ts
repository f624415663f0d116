/** What a target is given: the freshest of each key, as this site's database has it. */
import type { Kind } from '../postgres/kinds/kind.ts';
import { columnNames, keysIn, qualified } from '../postgres/kinds/kind-sql.ts';
import type { Connection } from '../postgres/wire/connection.ts';
import { quoteIdentifier } from '../postgres/wire/quoting.ts';
import type { Key, Row, TargetTable } from './sink.ts';

export function targetTable(kind: Kind): TargetTable {
  const others = kind.columns.filter(({ name }) => !kind.key.includes(name));
  const keys = kind.key.flatMap((key) => kind.columns.filter(({ name }) => name === key));
  const sites = kind.groups.map(({ name }) => ({ name: `${name}_site`, type: 'text' }));
  return { name: kind.kind, keyLength: keys.length, columns: [...keys, ...others, ...sites] };
}

/** As marks name a key: its value, or the JSON array of several. */
export const keyTextOf = (key: Key): string => (key.length === 1 ? (key[0] ?? '') : JSON.stringify(key));
export const keyOfText = (kind: Kind, text: string): Key =>
  kind.key.length === 1 ? [text] : (JSON.parse(text) as string[]);

/** The freshest rows of these keys; what is forgotten, or does not leave the site, has none. */
export async function freshestRows(
  connection: Connection,
  kind: Kind,
  keys: readonly string[],
): Promise<Row[]> {
  const table = targetTable(kind);
  const { rows } = await connection.query(
    `SELECT ${cells(table)} FROM ${freshest(kind)} t JOIN ${keysIn(kind, '$1')} u
       USING (${columnNames(kind.key)}) ${where(kind)}`,
    [JSON.stringify(keys)],
  );
  return rows.map((row) => table.columns.map(({ name }) => row[name] ?? null));
}

/** All rows, a page after the other, from one moment: within the connection's transaction. */
export async function* allRows(connection: Connection, kind: Kind, pageRows: number): AsyncGenerator<Row[]> {
  const table = targetTable(kind);
  const cursor = quoteIdentifier(`all_${kind.kind}`);
  await connection.simple(
    `DECLARE ${cursor} NO SCROLL CURSOR FOR SELECT ${cells(table)} FROM ${freshest(kind)} t ${where(kind)}`,
  );
  for (;;) {
    const [page] = await connection.simple(`FETCH ${pageRows} FROM ${cursor}`);
    const rows = page?.rows ?? [];
    if (rows.length > 0) yield rows.map((row) => table.columns.map(({ name }) => row[name] ?? null));
    if (rows.length < pageRows) break;
  }
  await connection.simple(`CLOSE ${cursor}`);
}

/** The keys of a kind whose rows belong to these keys of the kind that it follows. */
export async function followingKeys(
  connection: Connection,
  kind: Kind,
  values: readonly string[],
): Promise<string[]> {
  if (!kind.follows || values.length === 0) return [];
  const by = quoteIdentifier(kind.follows.by);
  const { rows } = await connection.query(
    `SELECT DISTINCT ${kind.key.map((name) => `t.${quoteIdentifier(name)}::text AS ${quoteIdentifier(name)}`).join(', ')}
     FROM ${qualified(`${kind.kind}_by_site`)} t WHERE t.${by}::text IN (SELECT jsonb_array_elements_text($1::jsonb))`,
    [JSON.stringify(values)],
  );
  return rows.map((row) => keyTextOf(kind.key.map((name) => row[name] ?? '')));
}

const freshest = (kind: Kind): string => qualified(`${kind.kind}_freshest`);
const where = ({ rowFilter }: Kind): string => (rowFilter === null ? '' : `WHERE (${rowFilter})`);

/** In the form of a target's cells. */
function cells({ columns }: TargetTable): string {
  return columns
    .map(({ name, type }) => {
      const column = `t.${quoteIdentifier(name)}`;
      const text = type.endsWith('with time zone')
        ? `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')`
        : `${column}::text`;
      return `${text} AS ${quoteIdentifier(name)}`;
    })
    .join(', ');
}
