import type { ForgetScope } from '../../domain/forget.ts';
import type { Micros } from '../../domain/micros.ts';
import type { Queryable } from '../database.ts';

/** Forgets a terminal's last calls in every table of every site (S3, C9); returns the mark's date. */
export async function forgetLastCalls(
  database: Queryable,
  terminalId: number,
  scope: ForgetScope,
): Promise<Micros> {
  const rows = await database.query<{ forgotten_at: Micros }>(
    'SELECT lastcall.forget($1, $2) AS forgotten_at',
    [terminalId, scope],
  );
  return (rows[0] as { forgotten_at: Micros }).forgotten_at;
}
