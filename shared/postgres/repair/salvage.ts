/**
 * Gives a site back what only a peer still holds of it (replication rule 21).
 *
 * Invariant: nothing at the site ever becomes older. Marks go first, a group that a mark covers is not brought back, and
 * a group is overwritten only by a newer date, so that calls arriving meanwhile win and every part may be repeated.
 */
import { LastcallError } from '../../domain/errors.ts';
import { isSiteId } from '../../domain/site.ts';
import { findDifferingBuckets, inDifferingBuckets } from '../kinds/bucket-digests.ts';
import type { Kind } from '../kinds/kind.ts';
import { columnNames, keysIn, keyText, qualified, tableOf } from '../kinds/kind-sql.ts';
import { readCopyTables } from '../replication/copy-catalog.ts';
import type { CopyTable } from '../replication/table-layout.ts';
import type { Connection } from '../wire/connection.ts';
import { pipeCopy } from '../wire/copy-pipe.ts';
import { quoteLiteral } from '../wire/quoting.ts';
import { datesDigest, dropFresh, keyAndDates, mergeRows } from './salvage-sql.ts';

export interface SalvageEnds {
  /** The peer's primary, as lastcall_coordinator: it holds copies of the site's tables. Or an old server of the site itself. */
  readonly peer: Connection;
  readonly peerSite: string;
  /** The site's new primary, as lastcall_coordinator. */
  readonly target: Connection;
  readonly targetSite: string;
}

const PAGE_ROWS = 5_000;

/** Merges the forget marks of both sites, as the peer knows them, into the target. Returns how many of its own it had lost. */
export async function salvageMarks(ends: SalvageEnds): Promise<number> {
  checkSites(ends);
  // The peer's own marks come early, or a number forgotten there would show here until its stream is back.
  if (ends.peerSite !== ends.targetSite) await salvageAllMarks(ends, ends.peerSite);
  return salvageAllMarks(ends, ends.targetSite);
}

/** Merges the peer's copy of the site's provisioning into the target. Returns the rows written. */
export async function salvageTerminals(ends: SalvageEnds): Promise<number> {
  return salvageFresher(ends, 'provisioning', async () => undefined);
}

/** Merges every group of the peer's copies that is fresher than the target's own. `onPage` hears the rows of each page. */
export async function salvageRows(
  ends: SalvageEnds,
  onPage: (rows: number) => Promise<void>,
): Promise<number> {
  return salvageFresher(ends, 'state', onPage);
}

/**
 * Checksums of the dates say where to look; keys and dates travel from there, whole rows only where something is fresher.
 * `onPage` hears of a page once it is committed.
 */
async function salvageFresher(
  ends: SalvageEnds,
  purpose: Kind['purpose'],
  onPage: (rows: number) => Promise<void>,
): Promise<number> {
  checkSites(ends);
  let salvaged = 0;
  for (const { kind, columns } of await commonKinds(ends, ends.targetSite, purpose)) {
    const stale = await loadStaleKeys(ends, kind);
    for (let page = 0; page * PAGE_ROWS < stale; page++) {
      const rows = await mergePage(ends, kind, columns);
      await onPage(rows);
      salvaged += rows;
    }
  }
  return salvaged;
}

interface CommonKind {
  readonly kind: Kind;
  /** Those that both ends have. */
  readonly columns: readonly string[];
}

async function commonKinds(
  { peer, target }: Pick<SalvageEnds, 'peer' | 'target'>,
  site: string,
  purpose: Kind['purpose'],
): Promise<CommonKind[]> {
  const [held, own] = await Promise.all([readCopyTables(peer, site), readCopyTables(target, site)]);
  return [...own].flatMap(([table, { kind, columns }]) => {
    const there = held.get(table);
    if (!there || kind.purpose !== purpose) return [];
    return [{ kind, columns: columns.map(({ name }) => name).filter((name) => hasColumn(there, name)) }];
  });
}

const hasColumn = (copy: CopyTable, wanted: string): boolean =>
  copy.columns.some(({ name }) => name === wanted);

/** For a table that is small: all of it travels. */
async function salvageAllMarks(ends: SalvageEnds, site: string): Promise<number> {
  let written = 0;
  for (const { kind, columns } of await commonKinds(ends, site, 'marks')) {
    const table = tableOf(kind, site);
    await loadRows(ends, table, columns, '');
    const [result] = await ends.target.simple(mergeRows(kind, table, columns));
    written += result?.rowCount ?? 0;
  }
  return written;
}

async function loadRows(
  { peer, target }: Pick<SalvageEnds, 'peer' | 'target'>,
  table: string,
  columns: readonly string[],
  condition: string,
): Promise<void> {
  const names = columnNames(columns);
  await target.simple(`
    DROP TABLE IF EXISTS pg_temp.salvage_rows;
    CREATE TEMP TABLE salvage_rows AS SELECT ${names} FROM ${qualified(table)} WHERE false`);
  await pipeCopy(
    peer,
    `COPY (SELECT ${names} FROM ${qualified(table)} t ${condition}) TO STDOUT (FORMAT binary)`,
    target,
    `COPY pg_temp.salvage_rows (${names}) FROM STDIN (FORMAT binary)`,
  );
}

/** Leaves in pg_temp.salvage_keys the keys of which the peer holds something fresher. Returns their number. */
async function loadStaleKeys(ends: SalvageEnds, kind: Kind): Promise<number> {
  const { peer, target, targetSite } = ends;
  const table = tableOf(kind, targetSite);
  const names = keyAndDates(kind);
  await target.simple(`
    DROP TABLE IF EXISTS pg_temp.salvage_keys;
    CREATE TEMP TABLE salvage_keys AS SELECT ${names} FROM ${qualified(table)} WHERE false`);
  await pipeCopy(
    peer,
    `COPY (SELECT ${names} FROM ${qualified(table)} t WHERE ${await whereToLook(ends, kind)}) TO STDOUT (FORMAT binary)`,
    target,
    `COPY pg_temp.salvage_keys (${names}) FROM STDIN (FORMAT binary)`,
  );
  await target.simple('ANALYZE pg_temp.salvage_keys');
  await target.simple(dropFresh(kind, table));
  const [result] = await target.simple('SELECT count(*) AS stale FROM pg_temp.salvage_keys');
  return Number(result?.rows[0]?.['stale'] ?? 0);
}

/** Where the dates of the two tables differ; everything when they differ widely. */
async function whereToLook({ peer, target, targetSite }: SalvageEnds, kind: Kind): Promise<string> {
  const table = tableOf(kind, targetSite);
  const buckets = await findDifferingBuckets([peer, target], { kind, table, digest: datesDigest(kind) });
  return buckets.differing.length > buckets.count / 2 ? 'true' : inDifferingBuckets(buckets);
}

/** Takes a page of the stale keys and merges their rows. */
async function mergePage(ends: SalvageEnds, kind: Kind, columns: readonly string[]): Promise<number> {
  const { target, targetSite } = ends;
  const table = tableOf(kind, targetSite);
  const key = columnNames(kind.key);
  const [taken] = await target.simple(`
    WITH page AS (SELECT ctid FROM pg_temp.salvage_keys ORDER BY ${key} LIMIT ${PAGE_ROWS}),
      taken AS (DELETE FROM pg_temp.salvage_keys k USING page WHERE k.ctid = page.ctid RETURNING k.*)
    SELECT coalesce(jsonb_agg(${keyText(kind, 't')}), '[]')::text AS keys FROM taken t`);
  const keys = taken?.rows[0]?.['keys'] ?? '[]';
  await loadRows(ends, table, columns, `JOIN ${keysIn(kind, quoteLiteral(keys))} page USING (${key})`);
  const [result] = await target.simple(mergeRows(kind, table, columns));
  return result?.rowCount ?? 0;
}

function checkSites({ peerSite, targetSite }: Pick<SalvageEnds, 'peerSite' | 'targetSite'>): void {
  for (const site of [peerSite, targetSite]) {
    if (!isSiteId(site)) throw new LastcallError('SITE_UNKNOWN', { details: { site } });
  }
}
