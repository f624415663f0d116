import type { Endpoints } from '../../../services/lab/endpoints.ts';
import { query } from '../../support/replication-pair.ts';
import { ask } from './asked-lab.ts';
import { databaseUrl } from './lab-parts.ts';

/** Far above those of the phones. */
const FIRST_TERMINAL = 10_000_000;
const PAGE = 100_000;

/** So many last calls at each site, of terminals that nobody calls; resolves when every copy has them. */
export async function fill(endpoints: Endpoints, rows: number): Promise<void> {
  for (const site of Object.keys(endpoints.sites))
    for (let from = 0; from < rows; from += PAGE)
      await query(
        databaseUrl(endpoints, site),
        `INSERT INTO lastcall.lastcalls_${site} (terminal_id, user_id, last_dialed_call, last_dialed_date,
           last_received_call, last_received_date, last_received_call_id)
         SELECT id, id, '30' || id, now() - interval '1 day', '40' || id, now() - interval '1 day', 'call-' || id
         FROM generate_series($1::bigint, $2::bigint) id`,
        [FIRST_TERMINAL + from, FIRST_TERMINAL + Math.min(from + PAGE, rows) - 1],
      );
  while (!(await ask<{ equal: boolean }>(endpoints, 'a', '/v1/compare', {}).catch(() => null))?.equal);
}
