/** The parts of `redis.url`. */
export interface RedisUrl {
  readonly tls: boolean;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: number | null;
  /** The server, the Sentinels, or nodes of the Cluster. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  /** The name that the Sentinels know the primary by; null without Sentinels. */
  readonly primary: string | null;
  readonly sentinelPassword: string | null;
  readonly isCluster: boolean;
}

const URL_FORM =
  /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^:@/\s]*)(?::([^@/\s]*))?@)?([^@/?\s]+)((?:\/[\w.-]+){0,2})\/?(?:\?sentinelPassword=([^&\s]+))?$/;
const HOST_FORM = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i;
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/**
 * `redis://[user:password@]host[:port][/db]`,
 * `redis+sentinel://[user:password@]host[:port],host[:port]/PRIMARY[/db][?sentinelPassword=...]`, or
 * `redis+cluster://[user:password@]host[:port],host[:port]`; null for anything else.
 */
export function redisUrlParts(url: string): RedisUrl | null {
  const [, scheme, kind, username, password, places = '', path = '', sentinelPassword] =
    URL_FORM.exec(url) ?? [];
  if (scheme === undefined) return null;
  const [sentinel, isCluster] = [kind === 'sentinel', kind === 'cluster'];
  const names = path.split('/').slice(1);
  const primary = sentinel ? (names.shift() ?? null) : null;
  const [database = null, ...more] = names;
  const hosts = places.split(',').map((place) => hostOf(place, sentinel ? SENTINEL_PORT : REDIS_PORT));
  if ((sentinel && primary === null) || (!sentinel && sentinelPassword)) return null;
  // A Cluster has one database only.
  if (isCluster ? database !== null : !sentinel && hosts.length > 1) return null;
  if (more.length > 0 || (database !== null && !/^\d{1,5}$/.test(database))) return null;
  if (!hosts.every((place) => place !== null)) return null;
  try {
    return {
      tls: scheme === 'rediss',
      username: username ? decodeURIComponent(username) : null,
      password: password ? decodeURIComponent(password) : null,
      database: database === null ? null : Number(database),
      hosts,
      primary,
      sentinelPassword: sentinelPassword ? decodeURIComponent(sentinelPassword) : null,
      isCluster,
    };
  } catch {
    // A per cent sign that begins nothing.
    return null;
  }
}

function hostOf(place: string, defaultPort: number): RedisUrl['hosts'][number] | null {
  const [, six, name, port] = HOST_FORM.exec(place) ?? [];
  const host = six ?? name;
  const number = port === undefined ? defaultPort : Number(port);
  return host === undefined || number < 1 || number > 65_535 ? null : { host, port: number };
}
