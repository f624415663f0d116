import type { Endpoints } from '../../../services/lab/endpoints.ts';
import { query } from '../../support/replication-pair.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ask } from './asked-lab.ts';
import { databaseUrl } from './lab-parts.ts';

/** Far above those of the phones. */
const FIRST_TERMINAL = 10_000_000;
const PAGE = 100_000;

/** So many last calls at each site, of terminals that nobody calls; resolves when every copy has them, as if since yesterday. */
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
  await Promise.all(Object.keys(endpoints.sites).map((site) => untilPast(databaseUrl(endpoints, site))));
}

/** Until no slot would decode the filling once more when its reader connects again. */
async function untilPast(ownerUrl: string): Promise<void> {
  const [filled] = await query<{ lsn: string }>(ownerUrl, 'SELECT pg_current_wal_lsn()::text AS lsn');
  await waitFor(
    async () => {
      await query(ownerUrl, 'CHECKPOINT');
      const behind = await query(
        ownerUrl,
        `SELECT FROM pg_replication_slots WHERE slot_type = 'logical' AND restart_lsn < $1::pg_lsn`,
        [filled?.lsn],
      );
      return behind.length === 0;
    },
    { what: 'the slots to be past the filling', deadlineMs: 60_000, everyMs: 500 },
  );
}
