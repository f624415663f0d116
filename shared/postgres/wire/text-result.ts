import { readCString } from './messages.ts';

/** Text rows: PostgreSQL's own spelling of each value, `null` for NULL. */
export interface TextResult {
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, string | null>>[];
  /** How many rows the command tag names (INSERT, UPDATE, DELETE, SELECT, COPY), else 0. */
  readonly rowCount: number;
}

/** Gathers RowDescription, DataRow and CommandComplete into one result a statement. */
export class TextResults {
  readonly all: TextResult[] = [];
  #columns: string[] = [];
  #rows: Record<string, string | null>[] = [];

  take(type: string, body: Buffer): void {
    if (type === 'T') this.#columns = readColumns(body);
    else if (type === 'D') this.#rows.push(readRow(body, this.#columns));
    else if (type === 'C' || type === 'I') {
      const rowCount = type === 'C' ? Number(/(\d+)\0$/.exec(body.toString('latin1'))?.[1] ?? 0) : 0;
      this.all.push({ columns: this.#columns, rows: this.#rows, rowCount });
      this.#columns = [];
      this.#rows = [];
    }
  }
}

function readColumns(body: Buffer): string[] {
  const columns: string[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const { text, next } = readCString(body, at);
    columns.push(text);
    at = next + 18;
  }
  return columns;
}

function readRow(body: Buffer, columns: readonly string[]): Record<string, string | null> {
  const row: Record<string, string | null> = {};
  let at = 2;
  for (const column of columns) {
    const size = body.readInt32BE(at);
    at += 4;
    row[column] = size < 0 ? null : body.toString('utf8', at, at + size);
    at += Math.max(size, 0);
  }
  return row;
}
