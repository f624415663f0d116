/** A sink in a database that speaks SQL; what differs between engines is their dialect. */
import { formatLsn, parseLsn } from '../domain/lsn.ts';
import {
  type Cell,
  type Key,
  keyColumns,
  type Row,
  type Sink,
  type TargetColumn,
  type TargetPosition,
  type TargetTable,
  TargetTaken,
} from './sink.ts';

/** One connection. Throws `TargetUnreachable` for a lost one. */
export interface SqlSession {
  query(sql: string, parameters?: readonly Cell[]): Promise<Readonly<Record<string, Cell>>[]>;
  close(): Promise<void>;
}

export interface SqlDialect {
  quote(name: string): string;
  /** A parameter of this type, given as text; `number` counts from 1. */
  parameter(number: number, type: string): string;
  /** A column as text in the form of {@link Cell}. */
  cell(column: TargetColumn): string;
  columnType(column: TargetColumn, isKey: boolean): string;
  readonly tableOptions: string;
  /** What follows the VALUES of an INSERT, so that it replaces these columns of a row that is there. */
  onConflict(keys: readonly string[], replaced: readonly string[]): string;
  /** `SELECT column_name FROM ...` of a table of the session's database or schema; parameter 1 is its name. */
  readonly columnsOfTable: string;
}

const POSITION = 'lastcall_position';
/** Rows of one statement. */
const CHUNK = 500;

export class SqlSink implements Sink {
  readonly #session: SqlSession;
  readonly #dialect: SqlDialect;
  #epoch = 0n;

  constructor(session: SqlSession, dialect: SqlDialect) {
    this.#session = session;
    this.#dialect = dialect;
  }

  async prepare(tables: readonly TargetTable[]): Promise<readonly string[]> {
    const changed: string[] = [];
    for (const table of tables) if (await this.#prepareTable(table)) changed.push(table.name);
    await this.#session.query(
      `CREATE TABLE IF NOT EXISTS ${POSITION} (id integer NOT NULL PRIMARY KEY, epoch bigint NOT NULL, saved text NOT NULL)`,
    );
    return changed;
  }

  async takeOver(): Promise<TargetPosition | null> {
    const p = this.#parameters(['text']);
    await this.#session.query(
      `INSERT INTO ${POSITION} (id, epoch, saved) VALUES (1, 1, ${p}) ${this.#dialect.onConflict(['id'], [])}`,
      [''],
    );
    await this.#session.query(`UPDATE ${POSITION} SET epoch = epoch + 1 WHERE id = 1`);
    const [row] = await this.#session.query(`SELECT epoch, saved FROM ${POSITION} WHERE id = 1`);
    this.#epoch = BigInt(row?.['epoch'] ?? 0);
    return row?.['saved'] ? parsePosition(row['saved']) : null;
  }

  async begin(): Promise<void> {
    await this.#session.query('BEGIN');
  }

  async apply(table: TargetTable, rows: readonly Row[]): Promise<void> {
    const names = table.columns.map(({ name }) => name);
    const keys = names.slice(0, table.keyLength);
    const types = table.columns.map(({ type }) => type);
    for (const chunk of chunksOf(rows)) {
      const values = chunk.map((_, index) => `(${this.#parameters(types, index * types.length)})`);
      await this.#session.query(
        `INSERT INTO ${this.#names([table.name])} (${this.#names(names)}) VALUES ${values.join(', ')}
         ${this.#dialect.onConflict(keys, names.slice(table.keyLength))}`,
        chunk.flat(),
      );
    }
  }

  async remove(table: TargetTable, keys: readonly Key[]): Promise<void> {
    for (const chunk of chunksOf(keys)) {
      await this.#session.query(
        `DELETE FROM ${this.#names([table.name])} WHERE ${this.#in(table, chunk)}`,
        chunk.flat(),
      );
    }
  }

  async savePosition(position: TargetPosition): Promise<void> {
    const { generation, lsn, ...rest } = position;
    const saved = JSON.stringify({ ...rest, generation: String(generation), lsn: formatLsn(lsn) });
    // Locks the row: a second feeder waits here, and then finds another epoch.
    const [row] = await this.#session.query(`SELECT epoch FROM ${POSITION} WHERE id = 1 FOR UPDATE`);
    if (BigInt(row?.['epoch'] ?? 0) !== this.#epoch)
      throw new TargetTaken('another process feeds this target now');
    await this.#session.query(`UPDATE ${POSITION} SET saved = ${this.#parameters(['text'])} WHERE id = 1`, [
      saved,
    ]);
  }

  async commit(): Promise<void> {
    await this.#session.query('COMMIT');
  }

  async rollback(): Promise<void> {
    await this.#session.query('ROLLBACK').catch(() => undefined);
  }

  async rows(table: TargetTable, keys: readonly Key[]): Promise<Row[]> {
    const found: Row[] = [];
    for (const chunk of chunksOf(keys)) {
      const rows = await this.#session.query(
        `${this.#select(table, table.columns)} WHERE ${this.#in(table, chunk)}`,
        chunk.flat(),
      );
      for (const row of rows) found.push(table.columns.map(({ name }) => row[name] ?? null));
    }
    return found;
  }

  async keysAfter(table: TargetTable, after: Key | null, limit: number): Promise<Key[]> {
    const keys = keyColumns(table);
    const names = this.#names(keys.map(({ name }) => name));
    const types = keys.map(({ type }) => type);
    const where = after === null ? '' : `WHERE (${names}) > (${this.#parameters(types)})`;
    const rows = await this.#session.query(
      `${this.#select(table, keys)} ${where} ORDER BY ${this.#names(
        keys.map(({ name }) => name),
        't',
      )} LIMIT ${limit}`,
      after ?? [],
    );
    return rows.map((row) => keys.map(({ name }) => row[name] ?? ''));
  }

  async truncate(table: TargetTable): Promise<void> {
    await this.#session.query(`DELETE FROM ${this.#names([table.name])}`);
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  /** Whether the table was made, or got a column. A column that is no more stays, with what it held. */
  async #prepareTable(table: TargetTable): Promise<boolean> {
    const there = await this.#session.query(this.#dialect.columnsOfTable, [table.name]);
    const known = new Set(there.map((row) => row['column_name']));
    const define = (column: TargetColumn, index: number): string => {
      const isKey = index < table.keyLength;
      return `${this.#names([column.name])} ${this.#dialect.columnType(column, isKey)}${isKey ? ' NOT NULL' : ''}`;
    };
    if (known.size === 0) {
      const keys = this.#names(keyColumns(table).map(({ name }) => name));
      const columns = table.columns.map(define).join(', ');
      await this.#session.query(
        `CREATE TABLE ${this.#names([table.name])} (${columns}, PRIMARY KEY (${keys})) ${this.#dialect.tableOptions}`,
      );
      return true;
    }
    const missing = table.columns.flatMap((column, index) =>
      known.has(column.name) ? [] : [define(column, index)],
    );
    for (const column of missing)
      await this.#session.query(`ALTER TABLE ${this.#names([table.name])} ADD COLUMN ${column}`);
    return missing.length > 0;
  }

  #select(table: TargetTable, columns: readonly TargetColumn[]): string {
    const cells = columns.map((column) => `${this.#dialect.cell(column)} AS ${this.#names([column.name])}`);
    return `SELECT ${cells.join(', ')} FROM ${this.#names([table.name])} t`;
  }

  #in(table: TargetTable, keys: readonly Key[]): string {
    const columns = keyColumns(table);
    const types = columns.map(({ type }) => type);
    const tuples = keys.map((_, index) => `(${this.#parameters(types, index * types.length)})`);
    return `(${this.#names(columns.map(({ name }) => name))}) IN (${tuples.join(', ')})`;
  }

  #names(names: readonly string[], alias = ''): string {
    return names.map((name) => `${alias && `${alias}.`}${this.#dialect.quote(name)}`).join(', ');
  }

  #parameters(types: readonly string[], before = 0): string {
    return types.map((type, index) => this.#dialect.parameter(before + index + 1, type)).join(', ');
  }
}

function* chunksOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += CHUNK) yield items.slice(at, at + CHUNK);
}

function parsePosition(text: string): TargetPosition {
  const saved = JSON.parse(text) as Omit<TargetPosition, 'generation' | 'lsn'> & {
    generation: string;
    lsn: string;
  };
  return { ...saved, generation: BigInt(saved.generation), lsn: parseLsn(saved.lsn) };
}
