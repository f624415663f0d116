import { comparePair } from '../../services/coordinator/compare-pair.ts';
import { Coordinator, type CoordinatorOptions } from '../../services/coordinator/coordinator.ts';
import { DEFAULT_SETTINGS } from '../../services/coordinator/settings.ts';
import type { LastcallEvent } from '../../shared/domain/alert.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { query, type SiteDatabase } from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import { quiet } from './ha-site.ts';

export interface RunningCoordinator {
  readonly coordinator: Coordinator;
  /** Everything it wanted to tell, in order. */
  readonly events: LastcallEvent[];
}

/** A coordinator with quick reactions at `home`. */
export function startCoordinator(
  home: SiteDatabase,
  sites: readonly SiteDatabase[],
  redis: { readonly connection: RedisConnection; readonly url: string },
  options: Partial<CoordinatorOptions> = {},
): RunningCoordinator {
  const events: LastcallEvent[] = [];
  const coordinator = new Coordinator({
    home: home.site,
    sites: new Map(sites.map(({ site, coordinator: url }) => [site, url])),
    redis: redis.connection,
    redisUrl: redis.url,
    settings: { ...DEFAULT_SETTINGS, watchMs: 100, settleMs: 300, barrierTimeoutMs: 15_000 },
    allowedSkewMs: 5_000,
    log: quiet,
    compare: comparePair,
    tell: async (event) => void events.push(event),
    ...options,
  });
  coordinator.start();
  return { coordinator, events };
}

export interface FailoverRecord extends Record<string, unknown> {
  readonly id: string;
  readonly home: string;
  readonly site: string;
  readonly state: string;
  readonly reason: string;
  readonly error: string | null;
  readonly salvaged_rows: number;
  readonly timeline: number | null;
}

/** Of every database that can be asked, oldest first. `urls` are by site. */
export async function failoverRecords(urls: Readonly<Record<string, string>>): Promise<FailoverRecord[]> {
  const lists = await Promise.all(
    Object.entries(urls).map(([home, url]) =>
      query<FailoverRecord>(
        url,
        `SELECT id, $1 AS home, site, state, reason, error, salvaged_rows::int, timeline, requested_at
         FROM lastcall.failovers ORDER BY requested_at`,
        [home],
      ),
    ),
  );
  return lists.flat();
}

/** Until no failover runs any more and `count` are done. */
export async function untilFailoversDone(
  urls: Readonly<Record<string, string>>,
  count: number,
  deadlineMs = 60_000,
): Promise<FailoverRecord[]> {
  let records: FailoverRecord[] = [];
  return waitFor(
    async () => {
      records = await failoverRecords(urls);
      const ended = records.every(({ state }) => state !== 'running');
      return ended && records.filter(({ state }) => state === 'done').length >= count ? records : null;
    },
    { what: `${count} failovers to be done`, deadlineMs, everyMs: 50 },
  ).catch((cause: Error) => {
    throw new Error(`${cause.message}; there are ${JSON.stringify(records)}`);
  });
}
