import { redisUrlParts } from '../domain/redis-url.ts';
import { keyPrefix } from './keys.ts';
import { slotOwnerConnector } from './slot-owner-connector.ts';

/**
 * What every connection of a site to the Redis of a URL begins with: one server, the primary that Sentinels name, or the
 * node of a Cluster that holds the site's keys. They have one hash tag, so it is one node.
 */
export function redisPlace(url: string, site: string) {
  const parts = redisUrlParts(url);
  if (parts === null) throw new TypeError('not the URL of a Redis');
  const { username, password, database, tls, hosts, primary, sentinelPassword, isCluster } = parts;
  const login = {
    ...(username !== null && { username }),
    ...(password !== null && { password }),
    ...(database !== null && { db: database }),
    ...(tls && { tls: {} }),
  };
  if (isCluster) return { ...login, Connector: slotOwnerConnector(hosts, keyPrefix(site), login) };
  const [{ host, port } = { host: '', port: 0 }] = hosts;
  if (primary === null) return { host, port, ...login };
  return {
    ...login,
    sentinels: hosts.map((sentinel) => ({ ...sentinel })),
    name: primary,
    role: 'master' as const,
    ...(sentinelPassword !== null && { sentinelPassword }),
    ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
    sentinelRetryStrategy: (attempt: number) => Math.min(1_000, 50 * 2 ** Math.min(attempt, 10)),
    // An old primary that came back as a replica is left at once, not when it first refuses a write.
    failoverDetector: true,
  };
}

/** Errors of a server that is not, or no longer, the one to talk to: the next connection finds that. */
export const isElsewhere = ({ message }: Error): boolean => /^(READONLY|MOVED|CLUSTERDOWN)/.test(message);
