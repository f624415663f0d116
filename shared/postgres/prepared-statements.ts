import { hash } from 'node:crypto';
import type pg from 'pg';
import { SQLSTATE } from './sqlstate.ts';

/** Statements whose names are remembered; the code has a few dozen, and a site adds a handful. */
const REMEMBERED = 500;
/** The server, or a pooler between, has no such statement, or has it already: connections change under us. */
const UNKNOWN_OR_TAKEN: readonly string[] = [
  SQLSTATE.INVALID_SQL_STATEMENT_NAME,
  SQLSTATE.DUPLICATE_PREPARED_STATEMENT,
];

/**
 * Runs statements by name, so that a connection plans each one once. Behind a pooler that gives every transaction another
 * server and does not follow prepared statements (PgBouncer before 1.21), it notices and stops naming them.
 */
export class PreparedStatements {
  readonly #names = new Map<string, string>();
  #epoch = 0;
  #naming = true;

  async run<R extends object>(client: pg.PoolClient, text: string, values: readonly unknown[]): Promise<R[]> {
    const plain = async () => (await client.query<R>(text, values as unknown[])).rows;
    if (!this.#naming) return plain();
    const name = this.#nameOf(text);
    try {
      return (await client.query<R>({ name, text, values: values as unknown[] })).rows;
    } catch (error) {
      if (!this.#learns(error)) throw error;
      return plain();
    }
  }

  /** Made of the text: behind a pooler the same name never means another process's other statement. */
  #nameOf(text: string): string {
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    if (this.#names.size >= REMEMBERED) this.#names.clear();
    const name = `lastcall_${hash('sha256', text, 'hex').slice(0, 24)}_${this.#epoch}`;
    this.#names.set(text, name);
    return name;
  }

  /** True when the statement did not run, and the same text without a name may. */
  #learns(error: unknown): boolean {
    const code = (error as { code?: unknown }).code;
    if (code === SQLSTATE.FEATURE_NOT_SUPPORTED) {
      this.#epoch++;
      this.#names.clear();
      return true;
    }
    if (typeof code !== 'string' || !UNKNOWN_OR_TAKEN.includes(code)) return false;
    this.#naming = false;
    return true;
  }
}
