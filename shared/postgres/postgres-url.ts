/** A PostgreSQL URL as libpq writes it; several hosts mean "whichever of them is the primary". */
export interface PostgresUrl {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** The query part: sslmode, sslrootcert, application_name ... */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Throws `TypeError` with the expected form; the message never holds the password. */
export function parsePostgresUrl(text: string): PostgresUrl {
  const match = /^postgres(?:ql)?:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/?@]+)\/([^?]+)(?:\?(.*))?$/.exec(text);
  if (!match) throw new TypeError('expected postgres://user:password@host[:port][,host[:port]]/database');
  const [, user = '', password = '', hostList = '', database = '', query = ''] = match;
  const hosts = hostList.split(',').map(parseHost);
  return {
    hosts,
    user: decodeURIComponent(user),
    password: decodeURIComponent(password),
    database: decodeURIComponent(database),
    parameters: new Map(new URLSearchParams(query)),
  };
}

function parseHost(text: string): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:]*)(?::(\d+))?$/.exec(text);
  const host = (match?.[1] ?? '').replace(/^\[|\]$/g, '');
  const port = Number(match?.[2] ?? 5432);
  if (host === '' || port < 1 || port > 65535)
    throw new TypeError(`expected host[:port] in the URL, got ${JSON.stringify(text)}`);
  return { host, port };
}
