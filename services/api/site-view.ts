import type { Queryable } from '../../shared/postgres/database.ts';
import { readAllDirections } from '../../shared/postgres/directions/all-directions.ts';
import {
  failoverJson,
  failoverReportJson,
  listFailovers,
  readFailover,
} from '../../shared/postgres/directions/failovers.ts';
import { directionJson } from '../../shared/postgres/directions/replication-status.ts';
import { readiness } from '../../shared/runtime/health.ts';
import type { ApiDeps } from './deps.ts';
import type { FeedEvent } from './event-feed.ts';

const STATUS_BUDGET_MS = 2_000;
const SHOWN_FAILOVERS = 20;

export async function replicationJson(deps: ApiDeps) {
  const databases = new Map<string, Queryable>([[deps.site, deps.database], ...deps.peers]);
  const opened = new Map([...databases].map(([site, database]) => [site, async () => database]));
  const directions = await readAllDirections(opened, STATUS_BUDGET_MS);
  return { site: deps.site, directions: directions.map(directionJson) };
}

/** Everything that a watching page shows, by what it is about. What cannot be read is absent. */
export async function viewSite(deps: ApiDeps): Promise<ReadonlyMap<string, FeedEvent>> {
  const [replication, failovers, alerts, ready] = await Promise.all([
    replicationJson(deps),
    listFailovers(deps.database, SHOWN_FAILOVERS).catch(() => null),
    deps.alerts.read().catch(() => null),
    readiness(deps.health),
  ]);
  const view = new Map<string, FeedEvent>([
    ['directions', { event: 'directions', data: replication }],
    ['readiness', { event: 'readiness', data: ready }],
    ['terminals', { event: 'terminals', data: deps.terminalChanges.seen }],
  ]);
  if (alerts !== null) view.set('alerts', { event: 'alerts', data: alerts });
  if (failovers === null) return view;
  view.set('failovers', { event: 'failovers', data: { failovers: failovers.map(failoverJson) } });
  const [newest] = failovers;
  const detailed = new Set(failovers.filter(({ state }) => state === 'running'));
  if (newest) detailed.add(newest);
  for (const { id } of detailed) {
    const report = await readFailover(deps.database, id).catch(() => null);
    if (report) view.set(`failover ${id}`, { event: 'failover', data: failoverReportJson(report) });
  }
  return view;
}
