/**
 * Whether every copy equals its origin, while writes flow.
 *
 * Counts and checksums of buckets of keys are computed in PostgreSQL at both ends; only rows of differing buckets are listed. A key
 * counts as differing only when its origin row stood still from before a heartbeat until after that heartbeat, and so
 * everything before it, was applied at the copy: a write under way is never a difference.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { bucketCount } from '../kinds/kind-sql.ts';
import { readCopyTables } from '../replication/copy-catalog.ts';
import { connectToPrimary } from '../replication/primary.ts';
import type { Connection } from '../wire/connection.ts';
import {
  bucketsSql,
  type ComparedTable,
  countSql,
  deleteRowsSql,
  insertRowsSql,
  readRowsSql,
  rowsOfBucketsSql,
  rowsOfKeysSql,
} from './compare-sql.ts';

export interface TableComparison {
  readonly table: string;
  readonly from: string;
  readonly to: string;
  readonly originRows: number;
  readonly copyRows: number;
  readonly differing: number;
  /** The first hundred: a number, a text, or the JSON array of a key of several columns. */
  readonly differingKeys: (number | string)[];
  readonly repaired: number;
}

export interface Comparison {
  readonly equal: boolean;
  readonly tables: TableComparison[];
}

export interface CompareOptions {
  /** Every site's database as lastcall_coordinator or lastcall_replicator: it beats, reads everything and writes copies. */
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
/** Rows of one bucket: few enough to list, enough that a million rows are some hundred buckets. */
const BUCKET_ROWS = 2_000;
/** Keys asked for in one statement. */
const KEYS_CHUNK = 20_000;

/** All directions between the sites. Throws `ConnectionLost` or `ServerError` when a site cannot be read. */
export async function compareSites(options: CompareOptions): Promise<Comparison> {
  const open = new Map<string, Connection>();
  try {
    // As the planner sees it there are as many buckets as rows: it would sort them.
    const settings = { enable_sort: 'off' };
    for (const [site, url] of options.sites)
      open.set(site, await connectToPrimary(url, { applicationName: 'lastcall-compare', settings }));
    const tables: TableComparison[] = [];
    for (const [from, origin] of open) {
      for (const [to, copy] of open) {
        if (from === to) continue;
        for (const compared of await commonTables(origin, copy, from)) {
          options.signal?.throwIfAborted();
          tables.push(await compareTable({ from, to, origin, copy }, compared, options));
        }
      }
    }
    return { equal: tables.every(({ differing, repaired }) => differing === repaired), tables };
  } finally {
    await Promise.all([...open.values()].map((connection) => connection.close()));
  }
}

/** What both ends have; a kind or a column that one of them lacks waits for it. */
async function commonTables(origin: Connection, copy: Connection, from: string): Promise<ComparedTable[]> {
  const [there, here] = await Promise.all([readCopyTables(origin, from), readCopyTables(copy, from)]);
  return [...there].flatMap(([table, { kind, columns }]) => {
    const types = new Map(here.get(table)?.columns.map(({ name, type }) => [name, type]));
    if (types.size === 0 || kind.purpose === 'heartbeat') return [];
    const common = columns.filter(({ name }) => types.has(name));
    return [
      {
        kind,
        table,
        columns: common.map(({ name, type }) => ({ name, type: types.get(name) === type ? type : '' })),
      },
    ];
  });
}

async function compareTable(
  direction: Direction,
  compared: ComparedTable,
  options: CompareOptions,
): Promise<TableComparison> {
  const { origin, copy, from, to } = direction;
  await settle(direction, options);
  const rows = Number((await origin.query(countSql(compared))).rows[0]?.['rows'] ?? 0);
  const buckets = bucketCount(rows, BUCKET_ROWS);
  const [there, here] = await Promise.all(
    [origin, copy].map((end) => readBuckets(end, bucketsSql(compared, buckets))),
  );
  const suspects = there && here ? differingKeys(there.checksums, here.checksums) : [];
  const listing = rowsOfBucketsSql(compared, buckets);
  const differing = await confirm(direction, compared, { suspects, listing }, options);
  const repaired = options.repair ? await repair(direction, compared, differing) : 0;
  return {
    table: compared.table,
    from,
    to,
    originRows: there?.rows ?? 0,
    copyRows: here?.rows ?? 0,
    differing: differing.length,
    differingKeys: differing.slice(0, KEYS_SHOWN).map(shownKey),
    repaired,
  };
}

const shownKey = (key: string): number | string =>
  /^\d+$/.test(key) && Number.isSafeInteger(Number(key)) ? Number(key) : key;

async function readBuckets(
  end: Connection,
  sql: string,
): Promise<{ rows: number; checksums: Map<string, string> }> {
  const { rows } = await end.query(sql);
  const checksums = new Map(rows.map((row) => [row['bucket'] ?? '', `${row['rows']} ${row['checksum']}`]));
  return { rows: rows.reduce((sum, row) => sum + Number(row['rows']), 0), checksums };
}

function differingKeys(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  const differing: string[] = [];
  for (const [key, value] of a) if (b.get(key) !== value) differing.push(key);
  for (const key of b.keys()) if (!a.has(key)) differing.push(key);
  return differing;
}

/** Of the suspected buckets' rows those that differ though their origin stood still. */
async function confirm(
  direction: Direction,
  compared: ComparedTable,
  { suspects, listing }: { readonly suspects: readonly string[]; readonly listing: string },
  options: CompareOptions,
): Promise<string[]> {
  if (suspects.length === 0) return [];
  const [there, here] = await Promise.all(
    [direction.origin, direction.copy].map((end) => readDigests(end, listing, suspects)),
  );
  let open = differingKeys(there ?? new Map(), here ?? new Map());
  const differing: string[] = [];
  const read = (end: Connection): Promise<Map<string, string>> =>
    readDigests(end, rowsOfKeysSql(compared), open);
  for (let look = 0; look < LOOKS && open.length > 0; look++) {
    const before = await read(direction.origin);
    await settle(direction, options);
    const copied = await read(direction.copy);
    const after = await read(direction.origin);
    const moved: string[] = [];
    for (const key of open) {
      if (copied.get(key) === after.get(key)) continue;
      (before.get(key) === after.get(key) ? differing : moved).push(key);
    }
    open = moved;
  }
  // What moved at every look is alive: its next change will tell.
  return differing;
}

/** `wanted`: buckets or keys, as many as there are. */
async function readDigests(
  end: Connection,
  sql: string,
  wanted: readonly string[],
): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (let at = 0; at < wanted.length; at += KEYS_CHUNK) {
    const { rows } = await end.query(sql, [JSON.stringify(wanted.slice(at, at + KEYS_CHUNK))]);
    for (const row of rows) digests.set(row['key'] ?? '', row['digest'] ?? '');
  }
  return digests;
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
  compared: ComparedTable,
  keys: readonly string[],
): Promise<number> {
  for (let start = 0; start < keys.length; start += REPAIR_CHUNK) {
    const which = [JSON.stringify(keys.slice(start, start + REPAIR_CHUNK))];
    await copy.simple('BEGIN');
    try {
      await copy.query('SELECT FROM lastcall.replication_position WHERE peer = $1 FOR UPDATE', [from]);
      const rows = (await origin.query(readRowsSql(compared), which)).rows[0]?.['rows'] ?? '[]';
      await copy.query(deleteRowsSql(compared), which);
      await copy.query(insertRowsSql(compared), [rows]);
      await copy.simple('COMMIT');
    } catch (cause) {
      await copy.simple('ROLLBACK');
      throw cause;
    }
  }
  return keys.length;
}
