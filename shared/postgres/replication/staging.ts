/** Rows of a peer's tables into staging tables beside the copies, and these in the place of the copies at once (I6). */
import { setTimeout as delay } from 'node:timers/promises';
import { decideKinds, type Publication } from '../../domain/decide-kinds.ts';
import type { Lsn } from '../../domain/lsn.ts';
import { columnNames, qualified, whereFilter } from '../kinds/kind-sql.ts';
import { SQLSTATE } from '../sqlstate.ts';
import type { Connection } from '../wire/connection.ts';
import { pipeCopy } from '../wire/copy-pipe.ts';
import { quoteLiteral } from '../wire/quoting.ts';
import { ServerError } from '../wire/server-error.ts';
import { type Difference, fetchDifference, mergeSql } from './difference.ts';
import type { KindState } from './stored-kinds.ts';
import type { CopyTable } from './table-layout.ts';

export interface Staged {
  /** Those that can be swapped in. */
  readonly tables: readonly CopyTable[];
  /** What replaces rows of a copy that stays. */
  readonly differences: readonly Difference[];
  /** By kind, what travelled. */
  readonly rows: Readonly<Record<string, number>>;
  readonly states: readonly KindState[];
}

export interface StageEnds {
  readonly reader: Connection;
  readonly subscriber: Connection;
}

/**
 * Fills fresh staging tables of `tables` from the snapshot that `reader` has open, whose changes begin at `lsn`. A kind
 * that the publisher does not have, or in another form, is held back and its copy stays as it is. With `keepEqual` a copy
 * that hardly differs stays as well, and only its differences are fetched.
 */
export async function stage(
  { reader, subscriber }: StageEnds,
  peer: string,
  tables: readonly CopyTable[],
  publication: Publication | null,
  { lsn, keepEqual }: { readonly lsn: Lsn; readonly keepEqual: boolean },
): Promise<Staged> {
  const decisions = decideKinds(columnsByKind(tables), publication, new Map());
  const states: KindState[] = [];
  const wanted = tables.flatMap((copy) => {
    const { kind } = copy.kind;
    const decision = decisions.get(kind);
    const source = publication?.tables.get(kind)?.source;
    if (decision?.action === 'copy' && source !== undefined) {
      const { columns } = decision;
      states.push({ kind, state: 'streaming', reason: null, detail: null, copied: { source, lsn }, columns });
      return [{ copy, columns }];
    }
    const { reason = null, detail = null } = decision?.action === 'hold' ? decision : {};
    states.push({ kind, state: 'held-back', reason, detail });
    return [];
  });
  const rows: Record<string, number> = {};
  const differences: Difference[] = [];
  for (const { copy, columns } of keepEqual ? wanted : []) {
    if (columns.length < copy.columns.length) continue;
    const difference = await fetchDifference({ reader, subscriber }, copy);
    if (!difference) continue;
    differences.push(difference);
    rows[copy.kind.kind] = difference.rows;
  }
  const whole = wanted.filter(({ copy }) => rows[copy.kind.kind] === undefined);
  const copies = whole.map(({ copy }) => copy);
  await subscriber.query('SELECT lastcall.begin_resync($1, $2::text[])', [peer, kindList(copies)]);
  for (const { copy, ...each } of whole) {
    const columns = columnNames(each.columns);
    rows[copy.kind.kind] = await pipeCopy(
      reader,
      `COPY (SELECT ${columns} FROM lastcall.${copy.table}${whereFilter(copy.kind)}) TO STDOUT (FORMAT binary)`,
      subscriber,
      `COPY lastcall.staging_${copy.table} (${columns}) FROM STDIN (FORMAT binary)`,
    );
  }
  return { tables: copies, differences, rows, states };
}

export const columnsByKind = (tables: Iterable<CopyTable>) =>
  new Map([...tables].map(({ kind, columns }) => [kind.kind, columns] as const));

const kindList = (tables: readonly CopyTable[]): string =>
  `{${tables.map(({ kind }) => kind.kind).join(',')}}`;

export interface SwapOptions {
  readonly subscriber: Connection;
  readonly peer: string;
  readonly tables: readonly CopyTable[];
  readonly differences: readonly Difference[];
  /** SQL that ends the same transaction: who may, and from where streaming begins. */
  readonly conclusion: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tries for the locks 50 ms at a time, until the signal: behind a reader of an hour it is done an hour later, and what was
 * copied stays good, as the new slot keeps what came since. a queue of readers never forms behind a waiting swap (I6). Before that for one that
 * no reader waits behind: an autovacuum, which only gives way to whom it has kept for deadlock_timeout, must be out of the
 * way. Returns for how many milliseconds the locks were held.
 */
export async function swap({
  subscriber,
  peer,
  tables,
  differences,
  conclusion,
  ...options
}: SwapOptions): Promise<number> {
  const copies = tables.map(({ table }) => qualified(table));
  const clear = copies.length > 0 ? `LOCK TABLE ${copies.join(', ')} IN SHARE UPDATE EXCLUSIVE MODE` : '';
  for (;;) {
    try {
      await subscriber.simple(`BEGIN; SET LOCAL lock_timeout = '5s'; ${clear}`);
      // Before the marks that came decide what of it is forgotten, and before any reader could have to wait.
      await subscriber.simple(`SET LOCAL lock_timeout = '50ms'; ${differences.map(mergeSql).join('')}`);
      const startedAt = performance.now();
      await subscriber.simple(`
        SELECT lastcall.swap_copies(${quoteLiteral(peer)}, ${quoteLiteral(kindList(tables))});
        ${conclusion};
        COMMIT`);
      return performance.now() - startedAt;
    } catch (cause) {
      await subscriber.simple('ROLLBACK');
      const inTheWay =
        cause instanceof ServerError &&
        (cause.code === SQLSTATE.LOCK_NOT_AVAILABLE || cause.code === SQLSTATE.DEADLOCK_DETECTED);
      if (!inTheWay) throw cause;
      await delay(20 + Math.random() * 80, undefined, options.signal ? { signal: options.signal } : {});
    }
  }
}
