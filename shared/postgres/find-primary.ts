import { LastcallError } from '../domain/errors.ts';
import { isBelow, type ServerIdentity } from '../domain/server-identity.ts';
import { newestPrimary } from './newest-primary.ts';
import { translatePostgresError } from './postgres-error.ts';
import { parsePostgresUrl } from './postgres-url.ts';
import { readIdentity, shortLivedClient } from './server-identity.ts';

/** The server that takes writes. */
export interface FoundPrimary {
  /** Of this one host. */
  readonly url: string;
  readonly identity: ServerIdentity;
}

/** One single-host URL for each host of a URL, in the order given. */
export function hostUrls(url: string): string[] {
  const parsed = parsePostgresUrl(url);
  const encode = encodeURIComponent;
  const query = new URLSearchParams([...parsed.parameters]).toString();
  return parsed.hosts.map(({ host, port }) => {
    const name = host.includes(':') ? `[${host}]` : host;
    const login = `${encode(parsed.user)}:${encode(parsed.password)}`;
    return `postgres://${login}@${name}:${port}/${encode(parsed.database)}${query ? `?${query}` : ''}`;
  });
}

/** `host:port` of a URL, for logs and readiness: no credentials. */
export function hostLabel(url: string): string {
  return parsePostgresUrl(url)
    .hosts.map(({ host, port }) => `${host}:${port}`)
    .join(',');
}

/**
 * The server that takes writes now: not in recovery (rule 24), of two such servers the one on the newer timeline, and
 * none below `floor` (rule 28). All hosts are asked at once, so that a mute one delays nobody. Throws `DATABASE_NO_PRIMARY`
 * when one was left behind, or all answered and none may be written; else the catalogue error of a host that failed.
 */
export async function findPrimary(
  url: string,
  timeoutMs: number,
  floor: ServerIdentity | null = null,
): Promise<FoundPrimary> {
  const answers = hostUrls(url).map(async (candidate) => {
    const identity = await identityOf(candidate, timeoutMs);
    if (identity !== null && !isBelow(identity, floor))
      return { value: { url: candidate, identity }, timeline: identity.timeline };
    const reason =
      identity === null ? 'in recovery' : `on timeline ${identity.timeline}, which was left behind`;
    throw new LastcallError('DATABASE_NO_PRIMARY', {
      details: { hosts: hostLabel(candidate), reason, leftBehind: identity !== null },
    });
  });
  try {
    return await newestPrimary(answers);
  } catch (error) {
    const failures = (error as AggregateError).errors.map(translatePostgresError);
    throw (
      failures.find(({ details }) => details['leftBehind'] === true) ??
      failures.find(({ code }) => code !== 'DATABASE_NO_PRIMARY') ??
      failures[0]
    );
  }
}

/** Which server answers at this one host; null for one in recovery. Throws what `pg` throws. */
export async function identityOf(url: string, timeoutMs: number): Promise<ServerIdentity | null> {
  const client = shortLivedClient(url, timeoutMs);
  try {
    await client.connect();
    return await readIdentity(client);
  } finally {
    // A frozen server never answers the goodbye either.
    void client.end().catch(() => {});
  }
}
