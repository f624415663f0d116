/**
 * A target's table made equal to the freshest rows of this site, or only compared with them. Readers of the target never
 * see it empty: rows that differ are replaced, then keys that are no more are removed.
 */
import type { Kind } from '../postgres/kinds/kind.ts';
import type { Connection } from '../postgres/wire/connection.ts';
import { allRows, freshestRows, keyTextOf, targetTable } from './freshest-source.ts';
import type { Key, Row, Sink, TargetTable } from './sink.ts';

const PAGE_ROWS = 5_000;

export interface Differences {
  readonly rows: number;
  /** As text, the first `KEYS_KEPT` of them. */
  readonly keys: string[];
  count: number;
}

/** Of a comparison more are not shown, nor looked at a second time. */
const KEYS_KEPT = 10_000;

export interface ReconcileOptions {
  /** Within a transaction: all is read from one moment. */
  readonly source: Connection;
  readonly sink: Sink;
  readonly kind: Kind;
  readonly write: boolean;
  readonly signal?: AbortSignal;
}

export async function reconcile(options: ReconcileOptions): Promise<Differences> {
  const { source, kind, sink, signal } = options;
  const table = targetTable(kind);
  const found = { rows: 0, keys: [] as string[], count: 0 };
  for await (const page of allRows(source, kind, PAGE_ROWS)) {
    signal?.throwIfAborted();
    found.rows += page.length;
    const differing = differingRows(
      table,
      page,
      await sink.rows(
        table,
        page.map((row) => keyOf(table, row)),
      ),
    );
    note(
      found,
      differing.map((row) => keyOf(table, row)),
    );
    if (options.write) await inTransaction(sink, () => sink.apply(table, differing));
  }
  let after: Key | null = null;
  for (;;) {
    signal?.throwIfAborted();
    const keys: Key[] = await sink.keysAfter(table, after, PAGE_ROWS);
    const there = new Set(
      (await freshestRows(source, kind, keys.map(keyTextOf))).map((row) => keyTextOf(keyOf(table, row))),
    );
    const gone = keys.filter((key) => !there.has(keyTextOf(key)));
    note(found, gone);
    if (options.write) await inTransaction(sink, () => sink.remove(table, gone));
    if (keys.length < PAGE_ROWS) return found;
    after = keys.at(-1) ?? null;
  }
}

/** Those of `keys` whose rows differ now. */
export async function stillDiffering(
  { source, sink, kind }: Omit<ReconcileOptions, 'write'>,
  keys: readonly string[],
): Promise<string[]> {
  const table = targetTable(kind);
  const there = byKey(table, await freshestRows(source, kind, keys));
  const named = keys.map((text): Key => (kind.key.length === 1 ? [text] : (JSON.parse(text) as string[])));
  const here = byKey(table, await sink.rows(table, named));
  return named.map(keyTextOf).filter((key) => there.get(key) !== here.get(key));
}

function differingRows(table: TargetTable, rows: readonly Row[], there: readonly Row[]): Row[] {
  const known = byKey(table, there);
  return rows.filter((row) => known.get(keyTextOf(keyOf(table, row))) !== JSON.stringify(row));
}

const byKey = (table: TargetTable, rows: readonly Row[]): Map<string, string> =>
  new Map(rows.map((row) => [keyTextOf(keyOf(table, row)), JSON.stringify(row)]));

const keyOf = ({ keyLength }: TargetTable, row: Row): Key =>
  row.slice(0, keyLength).map((cell) => cell ?? '');

function note(found: Differences, keys: readonly Key[]): void {
  found.count += keys.length;
  for (const key of keys) if (found.keys.length < KEYS_KEPT) found.keys.push(keyTextOf(key));
}

export async function inTransaction(sink: Sink, body: () => Promise<void>): Promise<void> {
  await sink.begin();
  try {
    await body();
    await sink.commit();
  } catch (cause) {
    await sink.rollback();
    throw cause;
  }
}
