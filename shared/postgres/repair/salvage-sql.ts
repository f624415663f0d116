/** The statements that decide what is fresher, built from the columns of each group. */
import type { Kind } from '../kinds/kind.ts';
import { columnNames, groupOf, isForgettable, keyText, qualified } from '../kinds/kind-sql.ts';
import { quoteIdentifier, quoteLiteral } from '../wire/quoting.ts';

const NEVER = `'-infinity'::timestamptz`;

/** Every date of a kind with the group that it stands for; a single date for `all`. */
const datesOf = (kind: Kind): { date: string; group: string }[] => [
  ...kind.groups.map(({ name, date }) => ({ date, group: name })),
  ...kind.singleDates.map((date) => ({ date, group: 'all' })),
];

export const keyAndDates = (kind: Kind, alias = ''): string =>
  columnNames([...kind.key, ...datesOf(kind).map(({ date }) => date)], alias);

/** What decides of a row whether it is fresher. */
export const datesDigest = (kind: Kind): string => `hash_record_extended(ROW(${keyAndDates(kind, 't')}), 0)`;

/** Deletes from pg_temp.salvage_keys what has nothing newer than the site's own row and than every mark. */
export const dropFresh = (kind: Kind, table: string): string => `
  DELETE FROM pg_temp.salvage_keys USING (
    SELECT k.ctid AS place FROM pg_temp.salvage_keys k
      LEFT JOIN ${qualified(table)} l USING (${columnNames(kind.key)}) ${joinMarks(kind, 'k')}
    WHERE NOT (${datesOf(kind)
      .map(({ date, group }) => `${isNewer('k', 'l', date)} AND ${isUnforgotten(kind, 'k', group, date)}`)
      .join('\n      OR ')})) fresh
  WHERE salvage_keys.ctid = fresh.place`;

/** Upserts pg_temp.salvage_rows, group by group where the date is newer. The command's row count is what was salvaged. */
export function mergeRows(kind: Kind, table: string, columns: readonly string[]): string {
  const written = columns.filter((name) => !kind.key.includes(name));
  const dates = datesOf(kind).filter(({ date }) => columns.includes(date));
  const isAlive = dates.map(({ date, group }) => isUnforgotten(kind, 's', group, date)).join(' OR ');
  const settings = written.map((name) => `${quoteIdentifier(name)} = ${merged(kind, name)}`);
  return `
  INSERT INTO ${qualified(table)} AS l (${columnNames(columns)})
    SELECT ${columns.map((name) => salvaged(kind, name)).join(', ')}
    FROM pg_temp.salvage_rows s ${joinMarks(kind, 's')}
    WHERE ${isAlive}
  ON CONFLICT (${columnNames(kind.key)}) DO UPDATE SET ${settings.join(', ')}
  WHERE ${dates.map(({ date }) => isNewer('excluded', 'l', date)).join(' OR ')}`;
}

const isNewer = (candidate: string, own: string, date: string): string =>
  `coalesce(${candidate}.${quoteIdentifier(date)} > coalesce(${own}.${quoteIdentifier(date)}, ${NEVER}), false)`;

/** Up to when each group of a row is forgotten (C9), as columns of `m`, and a removal of what it follows, as `r`. */
function joinMarks(kind: Kind, alias: string): string {
  if (!isForgettable(kind)) return '';
  const until = [...kind.groups.map(({ name }) => name), 'all'].map(
    (scope) =>
      `max(forgotten_at) FILTER (WHERE scope IN ('all', ${quoteLiteral(scope)})) AS ${quoteIdentifier(scope)}`,
  );
  const own = `LEFT JOIN (SELECT key, ${until.join(', ')} FROM lastcall.marks_by_site
      WHERE kind = ${quoteLiteral(kind.kind)} GROUP BY key) m ON m.key = ${keyText(kind, alias)}`;
  if (!kind.follows) return own;
  return `${own} LEFT JOIN (SELECT key, max(forgotten_at) AS removal FROM lastcall.marks_by_site
      WHERE kind = ${quoteLiteral(kind.follows.kind)} GROUP BY key) r ON r.key = ${alias}.${quoteIdentifier(kind.follows.by)}::text`;
}

function isUnforgotten(kind: Kind, alias: string, group: string, date: string): string {
  const column = `${alias}.${quoteIdentifier(date)}`;
  if (!isForgettable(kind)) return `${column} IS NOT NULL`;
  const reach = kind.follows
    ? `, CASE WHEN r.removal IS NOT NULL THEN lastcall.removal_reach(${quoteLiteral(kind.follows.kind)}, r.key, r.removal) END`
    : '';
  return `coalesce(${column} > coalesce(greatest(m.${quoteIdentifier(group)}${reach}), ${NEVER}), false)`;
}

/** What comes back of a row: a kind of one group as a whole, of others only what no mark covers. */
function salvaged(kind: Kind, name: string): string {
  const column = `s.${quoteIdentifier(name)}`;
  const scope = kind.singleDates.includes(name) ? { name: 'all', date: name } : groupOf(kind, name);
  if (!scope || kind.groups.length === 1) return column;
  return `CASE WHEN ${isUnforgotten(kind, 's', scope.name, scope.date)} THEN ${column} END`;
}

function merged(kind: Kind, name: string): string {
  const column = quoteIdentifier(name);
  if (kind.singleDates.includes(name)) return `greatest(l.${column}, excluded.${column})`;
  const group = groupOf(kind, name);
  if (group === null) return `coalesce(l.${column}, excluded.${column})`;
  return `CASE WHEN ${isNewer('excluded', 'l', group.date)} THEN excluded.${column} ELSE l.${column} END`;
}
