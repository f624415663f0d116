/**
 * Whether every copy equals its origin, while writes flow.
 *
 * Counts and checksums of ranges are computed in PostgreSQL at both ends; only rows of differing ranges are listed. A key
 * counts as differing only when its origin row stood still from before a heartbeat until after that heartbeat, and so
 * everything before it, was applied at the copy: a write under way is never a difference.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { connectToPrimary } from '../replication/primary.ts';
import type { Connection } from '../wire/connection.ts';
import {
  arrayLiteral,
  boundariesSql,
  COMPARED_KINDS,
  columnsSql,
  deleteRowsSql,
  insertRowsSql,
  rangesSql,
  readRowsSql,
  rowsOfKeysSql,
  rowsOfRangesSql,
  terminalsOf,
} from './compare-sql.ts';

export interface TableComparison {
  readonly table: string;
  readonly from: string;
  readonly to: string;
  readonly originRows: number;
  readonly copyRows: number;
  readonly differing: number;
  /** The first hundred. */
  readonly differingKeys: (number | string)[];
  readonly repaired: number;
}

export interface Comparison {
  readonly equal: boolean;
  readonly tables: TableComparison[];
}

export interface CompareOptions {
  /** Every site's database as lastcall_replicator: it beats, reads everything and writes the copies. */
  readonly sites: ReadonlyMap<string, string>;
  /** Copies the origin's rows over what differs. */
  readonly repair: boolean;
  /** How long a copy may take to apply a heartbeat written now; later than that its rows are compared as they are. */
  readonly settleBudgetMs?: number;
  readonly signal?: AbortSignal;
}

interface Direction {
  readonly from: string;
  readonly to: string;
  readonly origin: Connection;
  readonly copy: Connection;
}

const SETTLE_BUDGET_MS = 10_000;
const LOOKS = 5;
const KEYS_SHOWN = 100;
const REPAIR_CHUNK = 500;

/** All directions between the sites. Throws `ConnectionLost` or `ServerError` when a site cannot be read. */
export async function compareSites(options: CompareOptions): Promise<Comparison> {
  const open = new Map<string, Connection>();
  try {
    for (const [site, url] of options.sites)
      open.set(site, await connectToPrimary(url, { applicationName: 'lastcall-compare' }));
    const tables: TableComparison[] = [];
    for (const [from, origin] of open) {
      for (const [to, copy] of open) {
        if (from === to) continue;
        for (const kind of COMPARED_KINDS) {
          options.signal?.throwIfAborted();
          tables.push(await compareTable({ from, to, origin, copy }, `${kind}_${from}`, options));
        }
      }
    }
    return { equal: tables.every(({ differing, repaired }) => differing === repaired), tables };
  } finally {
    await Promise.all([...open.values()].map((connection) => connection.close()));
  }
}

async function compareTable(
  direction: Direction,
  table: string,
  options: CompareOptions,
): Promise<TableComparison> {
  const { origin, copy, from, to } = direction;
  const columns = (await origin.query(columnsSql(table))).rows.map((row) => row['attname'] ?? '');
  await settle(direction, options);
  const boundaries = (await origin.query(boundariesSql(table))).rows[0]?.['boundaries'] ?? '{}';
  const [there, here] = await Promise.all(
    [origin, copy].map((end) => readRanges(end, rangesSql(table, columns), boundaries)),
  );
  const suspects = there && here ? differingKeys(there.checksums, here.checksums) : [];
  const differing = await confirm(direction, { table, columns, boundaries, ranges: suspects }, options);
  const repaired = options.repair ? await repair(direction, table, columns, differing) : 0;
  return {
    table,
    from,
    to,
    originRows: there?.rows ?? 0,
    copyRows: here?.rows ?? 0,
    differing: differing.length,
    differingKeys: differing.slice(0, KEYS_SHOWN).map((key) => (key.includes(':') ? key : Number(key))),
    repaired,
  };
}

async function readRanges(
  end: Connection,
  sql: string,
  boundaries: string,
): Promise<{ rows: number; checksums: Map<string, string> }> {
  const { rows } = await end.query(sql, [boundaries]);
  const checksums = new Map(rows.map((row) => [row['range'] ?? '', `${row['rows']} ${row['checksum']}`]));
  return { rows: rows.reduce((sum, row) => sum + Number(row['rows']), 0), checksums };
}

function differingKeys(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((key) => a.get(key) !== b.get(key));
}

interface Suspicion {
  readonly table: string;
  readonly columns: readonly string[];
  readonly boundaries: string;
  readonly ranges: readonly string[];
}

/** Of the suspected ranges' rows those that differ though their origin stood still. */
async function confirm(
  direction: Direction,
  suspicion: Suspicion,
  options: CompareOptions,
): Promise<string[]> {
  const { table, columns, boundaries, ranges } = suspicion;
  if (ranges.length === 0) return [];
  const listed = await Promise.all(
    [direction.origin, direction.copy].map((end) =>
      readDigests(end, rowsOfRangesSql(table, columns), [boundaries, arrayLiteral(ranges)]),
    ),
  );
  let open = differingKeys(listed[0] ?? new Map(), listed[1] ?? new Map());
  const differing: string[] = [];
  const read = (end: Connection): Promise<Map<string, string>> =>
    readDigests(end, rowsOfKeysSql(table, columns), [terminalsOf(open), arrayLiteral(open)]);
  for (let look = 0; look < LOOKS && open.length > 0; look++) {
    const before = await read(direction.origin);
    await settle(direction, options);
    const copied = await read(direction.copy);
    const after = await read(direction.origin);
    const moved = open.filter(
      (key) => before.get(key) !== after.get(key) && copied.get(key) !== after.get(key),
    );
    differing.push(
      ...open.filter((key) => before.get(key) === after.get(key) && copied.get(key) !== after.get(key)),
    );
    open = moved;
  }
  // What moved at every look is alive: its next change will tell.
  return differing;
}

async function readDigests(
  end: Connection,
  sql: string,
  parameters: readonly string[],
): Promise<Map<string, string>> {
  const { rows } = await end.query(sql, parameters);
  return new Map(rows.map((row) => [row['key'] ?? '', row['digest'] ?? '']));
}

/** Waits until a heartbeat written now, and so everything before it, is applied at the copy. */
async function settle(
  { from, origin, copy }: Direction,
  { settleBudgetMs = SETTLE_BUDGET_MS, signal }: CompareOptions,
): Promise<void> {
  const beat = (await origin.query('SELECT lastcall.beat() AS at')).rows[0]?.['at'] ?? null;
  const deadline = performance.now() + settleBudgetMs;
  while (performance.now() < deadline) {
    const { rowCount } = await copy.query(
      `SELECT FROM lastcall.heartbeat_${from} WHERE beat_at >= $1::timestamptz`,
      [beat],
    );
    if (rowCount > 0) return;
    await delay(20, undefined, signal ? { signal } : {});
  }
}

/** While this holds the position's row no batch can commit, and what the stream brings later is the origin's later word. */
async function repair(
  { from, origin, copy }: Direction,
  table: string,
  columns: readonly string[],
  keys: readonly string[],
): Promise<number> {
  for (let start = 0; start < keys.length; start += REPAIR_CHUNK) {
    const chunk = keys.slice(start, start + REPAIR_CHUNK);
    const which = [terminalsOf(chunk), arrayLiteral(chunk)];
    await copy.simple('BEGIN');
    try {
      await copy.query('SELECT FROM lastcall.replication_position WHERE peer = $1 FOR UPDATE', [from]);
      const rows = (await origin.query(readRowsSql(table), which)).rows[0]?.['rows'] ?? '[]';
      await copy.query(deleteRowsSql(table), which);
      await copy.query(insertRowsSql(table, columns), [rows]);
      await copy.simple('COMMIT');
    } catch (cause) {
      await copy.simple('ROLLBACK');
      throw cause;
    }
  }
  return keys.length;
}
