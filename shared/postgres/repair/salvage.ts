/**
 * Gives a site back what only a peer still holds of it (replication rule 21).
 *
 * Invariant: nothing at the site ever becomes older. Marks go first, a group that a mark covers is not brought back, and
 * a group is overwritten only by a newer date, so that calls arriving meanwhile win and every part may be repeated.
 */
import { LastcallError } from '../../domain/errors.ts';
import { isSiteId } from '../../domain/site.ts';

import type { Connection } from '../wire/connection.ts';
import { pipeCopy } from '../wire/copy-pipe.ts';
import { BUCKET_DIGESTS, inBuckets, MERGE_ROWS, STALE_KEYS } from './salvage-sql.ts';

export interface SalvageEnds {
  /** The peer's primary, as lastcall_coordinator: it holds copies of the site's tables. */
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
  await mergeMarks(ends, ends.peerSite);
  return mergeMarks(ends, ends.targetSite);
}

async function mergeMarks({ peer, target }: SalvageEnds, site: string): Promise<number> {
  await target.simple(`
    DROP TABLE IF EXISTS pg_temp.salvage_marks;
    CREATE TEMP TABLE salvage_marks (terminal_id bigint, scope text, forgotten_at timestamptz)`);
  await pipeCopy(
    peer,
    `COPY (SELECT terminal_id, scope, forgotten_at FROM lastcall.forgotten_${site}) TO STDOUT (FORMAT binary)`,
    target,
    'COPY pg_temp.salvage_marks FROM STDIN (FORMAT binary)',
  );
  const [result] = await target.simple(`
    INSERT INTO lastcall.forgotten_${site} AS f SELECT * FROM pg_temp.salvage_marks
    ON CONFLICT (terminal_id, scope) DO UPDATE SET forgotten_at = excluded.forgotten_at
      WHERE excluded.forgotten_at > f.forgotten_at`);
  return result?.rowCount ?? 0;
}

/** Merges the peer's copy of the site's provisioning into the target. Returns the rows written. */
export async function salvageTerminals({ peer, target, targetSite, peerSite }: SalvageEnds): Promise<number> {
  checkSites({ targetSite, peerSite });
  const table = `lastcall.terminals_${targetSite}`;
  const columns = await columnNames(target, `terminals_${targetSite}`);
  const names = columns.join(', ');
  await target.simple(`
    DROP TABLE IF EXISTS pg_temp.salvage_terminals;
    CREATE TEMP TABLE salvage_terminals AS SELECT ${names} FROM ${table} WHERE false`);
  await pipeCopy(
    peer,
    `COPY (SELECT ${names} FROM ${table}) TO STDOUT (FORMAT binary)`,
    target,
    `COPY pg_temp.salvage_terminals (${names}) FROM STDIN (FORMAT binary)`,
  );
  const written = columns.filter((name) => name !== 'terminal_id');
  const [result] = await target.simple(`
    INSERT INTO ${table} AS t (${names})
      SELECT ${names} FROM pg_temp.salvage_terminals s
      WHERE NOT EXISTS (SELECT FROM lastcall.forgotten_by_site f WHERE f.terminal_id = s.terminal_id
                        AND f.scope = 'terminal' AND f.forgotten_at >= s.updated_at)
    ON CONFLICT (terminal_id) DO UPDATE SET ${written.map((name) => `${name} = excluded.${name}`).join(', ')}
      WHERE excluded.updated_at > t.updated_at`);
  return result?.rowCount ?? 0;
}

/**
 * Merges every group of the peer's copy that is fresher than the target's own. Checksums of the dates say where to look;
 * keys and dates travel from there, whole rows only where something is fresher. `onPage` hears the rows of each page
 * once they are committed.
 */
export async function salvageRows(
  ends: SalvageEnds,
  onPage: (rows: number) => Promise<void>,
): Promise<number> {
  checkSites(ends);
  const { target } = ends;
  await loadKeys(ends);
  const [found] = await target.simple(STALE_KEYS(ends.targetSite));
  const stale = (found?.rows ?? []).map((row) => row['terminal_id'] ?? '');
  await target.simple('DROP TABLE pg_temp.salvage_keys');
  let salvaged = 0;
  for (let at = 0; at < stale.length; at += PAGE_ROWS) {
    const rows = await mergePage(ends, stale.slice(at, at + PAGE_ROWS));
    await onPage(rows);
    salvaged += rows;
  }
  return salvaged;
}

async function loadKeys(ends: SalvageEnds): Promise<void> {
  const { peer, target, targetSite } = ends;
  await target.simple(`
    DROP TABLE IF EXISTS pg_temp.salvage_keys;
    CREATE TEMP TABLE salvage_keys (terminal_id bigint, dialed timestamptz, received timestamptz,
      terminated timestamptz, unknown_pai timestamptz, call_trace timestamptz)`);
  await pipeCopy(
    peer,
    `COPY (SELECT terminal_id, last_dialed_date, last_received_date, last_terminated_date, last_term_unknown_pai_date,
       last_term_call_trace_date FROM lastcall.lastcalls_${targetSite} WHERE ${inBuckets(await differingBuckets(ends))})
     TO STDOUT (FORMAT binary)`,
    target,
    'COPY pg_temp.salvage_keys FROM STDIN (FORMAT binary)',
  );
  await target.simple('ANALYZE pg_temp.salvage_keys');
}

/** Where the dates of the two tables differ; `null` when they differ so widely that everything is looked at. */
async function differingBuckets({
  peer,
  target,
  targetSite,
}: SalvageEnds): Promise<readonly string[] | null> {
  const digests = async (end: Connection): Promise<ReadonlyMap<string, string | null>> => {
    const [result] = await end.simple(BUCKET_DIGESTS(targetSite));
    return new Map((result?.rows ?? []).map((row) => [row['bucket'] ?? '', row['digest'] ?? null]));
  };
  const [held, own] = await Promise.all([digests(peer), digests(target)]);
  const differing = [...held]
    .filter(([bucket, digest]) => own.get(bucket) !== digest)
    .map(([bucket]) => bucket);
  return differing.length > held.size / 2 ? null : differing;
}

async function mergePage(
  { peer, target, targetSite }: SalvageEnds,
  terminals: readonly string[],
): Promise<number> {
  const table = `lastcall.lastcalls_${targetSite}`;
  const names = (await columnNames(target, `lastcalls_${targetSite}`)).join(', ');
  await target.simple(`
    DROP TABLE IF EXISTS pg_temp.salvage_rows;
    CREATE TEMP TABLE salvage_rows AS SELECT ${names} FROM ${table} WHERE false`);
  await pipeCopy(
    peer,
    `COPY (SELECT ${names} FROM ${table} WHERE terminal_id = ANY ('{${terminals.join(',')}}')) TO STDOUT (FORMAT binary)`,
    target,
    `COPY pg_temp.salvage_rows (${names}) FROM STDIN (FORMAT binary)`,
  );
  const [result] = await target.simple(MERGE_ROWS(targetSite));
  return result?.rowCount ?? 0;
}

async function columnNames(connection: Connection, table: string): Promise<string[]> {
  const result = await connection.query(
    `SELECT quote_ident(attname) AS name FROM pg_attribute
     WHERE attrelid = ('lastcall.' || quote_ident($1))::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  );
  return result.rows.map((row) => row['name'] ?? '');
}

/** Site names become part of table names. */
function checkSites({ peerSite, targetSite }: Pick<SalvageEnds, 'peerSite' | 'targetSite'>): void {
  for (const site of [peerSite, targetSite]) {
    if (!isSiteId(site)) throw new LastcallError('SITE_UNKNOWN', { details: { site } });
  }
}
