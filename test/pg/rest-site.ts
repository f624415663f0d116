import { withClient } from '../support/postgres.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type Answer, type StartedApi, startApi } from './started-api.ts';
import { startTwoSites, type TwoSites } from './two-sites.ts';

/** Site a's api with its PostgreSQL and Redis, site b's database beside it. */
export interface RestSite {
  readonly sites: TwoSites;
  readonly redis: RedisServer;
  readonly api: StartedApi;
  /** As the owner of that site's database. */
  // biome-ignore lint/suspicious/noExplicitAny: rows of every shape.
  sql(site: string, text: string, values?: unknown[]): Promise<any[]>;
  /** Terminals of these ids, with the numbers 1000 + id. */
  provision(...ids: number[]): Promise<void>;
  call(body: object): Promise<Answer>;
  target(query: string, headers?: Record<string, string>): Promise<Answer>;
  stop(): Promise<void>;
}

/** The body that provisions terminal `id`. */
export function terminal(id: number, more: object = {}): object {
  return { terminalId: id, number: String(1000 + id), password: 'pw', ...more };
}

export async function startRestSite(): Promise<RestSite> {
  const [sites, redis] = await Promise.all([startTwoSites(), startRedis()]);
  const api = await startApi(sites.config('a', { redis: { url: redis.url } }));
  return {
    sites,
    redis,
    api,
    sql: (site, text, values = []) =>
      withClient(sites.ownerUrl(site), async (client) => (await client.query(text, values)).rows),
    provision: async (...ids) => {
      for (const id of ids) await api.request('POST', '/v1/terminals', terminal(id));
    },
    call: (body) => api.request('POST', '/v1/calls', body),
    target: (query, headers = {}) => api.request('GET', `/v1/target?${query}`, undefined, headers),
    stop: async () => {
      await api.stop();
      await Promise.all([sites.server.remove(), redis.remove()]);
    },
  };
}
