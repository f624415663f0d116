import { redisUrlParts } from '../domain/redis-url.ts';

/** What every connection to the Redis of a URL begins with: one server, or the primary that Sentinels name. */
export function redisPlace(url: string) {
  const parts = redisUrlParts(url);
  if (parts === null) throw new TypeError('not the URL of a Redis');
  const { username, password, database, tls, hosts, primary, sentinelPassword } = parts;
  const login = {
    ...(username !== null && { username }),
    ...(password !== null && { password }),
    ...(database !== null && { db: database }),
    ...(tls && { tls: {} }),
  };
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
