/** The statements that decide what is fresher, built from the columns of each group. */
import { GROUP_NAMES, type GroupName } from '../../domain/last-calls.ts';
import { DATE_COLUMN, LAST_CALLS_COLUMNS } from '../last-calls/last-calls-columns.ts';

const SINGLE_DATES = ['last_term_unknown_pai_date', 'last_term_call_trace_date'];
const NEVER = `'-infinity'::timestamptz`;

/** Up to when each group of a terminal is forgotten, for the terminals of `relation` (C9). */
const marksOf = (relation: string): string => `
  SELECT f.terminal_id, ${GROUP_NAMES.map(
    (group) => `max(f.forgotten_at) FILTER (WHERE f.scope IN ('terminal', 'all', '${group}')) AS ${group}`,
  ).join(', ')},
    max(f.forgotten_at) FILTER (WHERE f.scope IN ('terminal', 'all')) AS every_group
  FROM lastcall.forgotten_by_site f WHERE f.terminal_id IN (SELECT terminal_id FROM ${relation}) GROUP BY f.terminal_id`;

const KEY_OF: Readonly<Record<GroupName, string>> = {
  dialed: 'k.dialed',
  received: 'k.received',
  terminated: 'k.terminated',
};

/** A bucket is 64 neighbouring terminals: a few lost rows leave most of a million untouched. */
const BUCKET = 'terminal_id >> 6';

export const BUCKET_DIGESTS = (site: string): string => `
  SELECT ${BUCKET} AS bucket, bit_xor(hash_record_extended(ROW(terminal_id, last_dialed_date, last_received_date,
      last_terminated_date, last_term_unknown_pai_date, last_term_call_trace_date), 0)) AS digest
  FROM lastcall.lastcalls_${site} GROUP BY 1`;

export const inBuckets = (buckets: readonly string[] | null): string =>
  buckets === null ? 'true' : `${BUCKET} = ANY ('{${buckets.join(',')}}'::bigint[])`;

/** Terminals of pg_temp.salvage_keys with anything newer than the site's own row and than every mark, as text. */
export const STALE_KEYS = (site: string): string => `
  SELECT k.terminal_id FROM pg_temp.salvage_keys k
    LEFT JOIN lastcall.lastcalls_${site} l USING (terminal_id)
    LEFT JOIN (${marksOf('pg_temp.salvage_keys')}) m USING (terminal_id)
  WHERE ${[
    ...GROUP_NAMES.map((group) => newer(KEY_OF[group], `l.${DATE_COLUMN[group]}`, `m.${group}`)),
    newer('k.unknown_pai', 'l.last_term_unknown_pai_date', 'm.every_group'),
    newer('k.call_trace', 'l.last_term_call_trace_date', 'm.every_group'),
  ].join('\n    OR ')}
  ORDER BY k.terminal_id`;

/** Upserts pg_temp.salvage_rows, group by group where the date is newer. The command's row count is what was salvaged. */
export const MERGE_ROWS = (site: string): string => `
  INSERT INTO lastcall.lastcalls_${site} AS l (${LAST_CALLS_COLUMNS.map(({ name }) => name).join(', ')})
    SELECT ${LAST_CALLS_COLUMNS.map(({ name, group }) => unlessForgotten(name, group)).join(', ')}
    FROM pg_temp.salvage_rows s LEFT JOIN (${marksOf('pg_temp.salvage_rows')}) m USING (terminal_id)
  ON CONFLICT (terminal_id) DO UPDATE SET ${LAST_CALLS_COLUMNS.filter(({ name }) => name !== 'terminal_id')
    .map(({ name, group }) => `${name} = ${newerValue(name, group)}`)
    .join(', ')}
  WHERE ${[...Object.values(DATE_COLUMN), ...SINGLE_DATES].map((date) => newer(`excluded.${date}`, `l.${date}`, NEVER)).join(' OR ')}`;

function newer(candidate: string, own: string, mark: string): string {
  return `coalesce(${candidate} > greatest(coalesce(${own}, ${NEVER}), coalesce(${mark}, ${NEVER})), false)`;
}

function unlessForgotten(name: string, group: GroupName | null): string {
  if (group !== null)
    return `CASE WHEN ${newer(`s.${DATE_COLUMN[group]}`, 'NULL', `m.${group}`)} THEN s.${name} END`;
  if (SINGLE_DATES.includes(name))
    return `CASE WHEN ${newer(`s.${name}`, 'NULL', 'm.every_group')} THEN s.${name} END`;
  return `s.${name}`;
}

function newerValue(name: string, group: GroupName | null): string {
  if (group === null)
    return SINGLE_DATES.includes(name)
      ? `greatest(l.${name}, excluded.${name})`
      : `coalesce(l.${name}, excluded.${name})`;
  const date = DATE_COLUMN[group];
  return `CASE WHEN ${newer(`excluded.${date}`, `l.${date}`, NEVER)} THEN excluded.${name} ELSE l.${name} END`;
}
