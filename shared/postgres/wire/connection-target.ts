import { readFileSync } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';
import { parsePostgresUrl } from '../postgres-url.ts';

export type SslMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** Where to connect and as whom, read from a libpq URL. */
export interface ConnectionTarget {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly sslMode: SslMode;
  readonly tls: SecureContextOptions;
  readonly connectTimeoutMs: number;
}

const SSL_MODES: readonly SslMode[] = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'];

/** Throws `TypeError`, never with the password in it, when the URL cannot be read; file errors of sslrootcert as they come. */
export function connectionTarget(url: string): ConnectionTarget {
  const { hosts, user, password, database, parameters } = parsePostgresUrl(url);
  const sslMode = (parameters.get('sslmode') ?? 'prefer') as SslMode;
  if (!SSL_MODES.includes(sslMode)) throw new TypeError(`sslmode must be one of ${SSL_MODES.join(', ')}`);
  const file = (parameter: string): Buffer | undefined => {
    const path = parameters.get(parameter);
    return path ? readFileSync(path) : undefined;
  };
  if (sslMode === 'verify-ca' && !parameters.get('sslrootcert'))
    throw new TypeError('sslmode=verify-ca needs sslrootcert');
  const [ca, cert, key] = [file('sslrootcert'), file('sslcert'), file('sslkey')];
  return {
    // libpq's way to name a Unix socket's folder: a host that is a percent-encoded path.
    hosts: hosts.map(({ host, port }) => ({ host: decodeURIComponent(host), port })),
    user: user || 'postgres',
    password,
    database,
    sslMode,
    tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
    connectTimeoutMs: Number(parameters.get('connect_timeout') ?? '5') * 1000,
  };
}
