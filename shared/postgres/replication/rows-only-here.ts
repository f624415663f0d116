import type { Kind } from '../kinds/kind.ts';
import { columnNames, isForgettable, isForgotten, keyText, qualified } from '../kinds/kind-sql.ts';
import type { Connection } from '../wire/connection.ts';
import { quoteIdentifier, quoteLiteral } from '../wire/quoting.ts';
import type { CopyTable } from './table-layout.ts';

/** The copy holds rows newer than its origin's, which a swap would lose. The coordinator's salvage merges them back. */
export class RowsOnlyHere extends Error {
  override readonly name = 'RowsOnlyHere';
  readonly count: number;

  constructor(peer: string, count: number) {
    super(
      `${count} rows of ${peer} are newer here than at ${peer}: they wait for the coordinator's salvage, or for a resync on request`,
    );
    this.count = count;
  }
}

/** How many rows of the copies are newer than what was copied into staging, and not forgotten. */
export async function countRowsOnlyHere(
  subscriber: Connection,
  peer: string,
  tables: readonly CopyTable[],
): Promise<number> {
  const counts = tables.flatMap((copy) => {
    if (isForgettable(copy.kind)) return [countNewer(copy, peer)];
    // A missing old mark was collected at the origin; a missing newest one was lost.
    const [group] = copy.kind.groups;
    return copy.kind.purpose === 'marks' && group
      ? [
          `(SELECT count(*) FROM ${qualified(copy.table)} c WHERE c.${group.date} >
              (SELECT coalesce(max(${group.date}), '-infinity') FROM ${staging(copy)}))`,
        ]
      : [];
  });
  const [result] = await subscriber.simple(`SELECT ${['0', ...counts].join(' + ')} AS count`);
  return Number(result?.rows[0]?.['count'] ?? 0);
}

function countNewer(copy: CopyTable, peer: string): string {
  const { kind } = copy;
  const newer = kind.groups.map(({ name, date }) => {
    const column = `c.${quoteIdentifier(date)}`;
    return `(${column} > coalesce(s.${quoteIdentifier(date)}, '-infinity')
      AND NOT ${isForgotten(kind, 'c', name, column)} AND NOT ${isStagedForgotten(kind, peer, name, column)})`;
  });
  return `(SELECT count(*) FROM ${qualified(copy.table)} c LEFT JOIN ${staging(copy)} s USING (${columnNames(kind.key)})
    WHERE ${newer.join(' OR ')})`;
}

/** The marks that were just copied count as well. */
function isStagedForgotten(kind: Kind, peer: string, group: string, date: string): string {
  const own = `f.key = ${keyText(kind, 'c')} AND f.kind = ${quoteLiteral(kind.kind)}
      AND f.scope IN ('all', ${quoteLiteral(group)}) AND f.forgotten_at >= ${date}`;
  const removal = kind.follows
    ? ` OR f.key = c.${quoteIdentifier(kind.follows.by)}::text AND f.kind = ${quoteLiteral(kind.follows.kind)}
      AND lastcall.removal_reach(f.kind, f.key, f.forgotten_at) >= ${date}`
    : '';
  return `EXISTS (SELECT FROM ${qualified(`staging_marks_${peer}`)} f WHERE ${own}${removal})`;
}

const staging = (copy: CopyTable): string => qualified(`staging_${copy.table}`);
