/**
 * SQL that writes a forget mark into a site's table as replication does. Parameters: the terminal, the scope (`terminal`
 * removes it) and the date; one that stands already gets the new date.
 */
export const markSql = (site: string, table = 'marks'): string => `
  INSERT INTO lastcall.${table}_${site} (kind, key, scope, forgotten_at)
  SELECT CASE $2::text WHEN 'terminal' THEN 'terminals' ELSE 'lastcalls' END, $1::bigint::text,
    CASE $2::text WHEN 'terminal' THEN 'all' ELSE $2::text END, $3::timestamptz
  ON CONFLICT (key, kind, scope) DO UPDATE SET forgotten_at = excluded.forgotten_at`;
