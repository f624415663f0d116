import { isBelow, type ServerIdentity } from '../../domain/server-identity.ts';
import { newestPrimary, type Primary } from '../newest-primary.ts';
import { IDENTITY, identityFrom } from '../server-identity.ts';
import { Connection, type OpenOptions } from '../wire/connection.ts';
import { type ConnectionTarget, connectionTarget } from '../wire/connection-target.ts';
import { ConnectionLost } from '../wire/server-error.ts';

/** Where the newest timeline of a site is remembered (rule 28). Neither may throw. */
export interface Floor {
  current(): ServerIdentity | null;
  raise(seen: ServerIdentity): void;
}

export type ConnectOptions = Omit<OpenOptions, 'target' | 'host'> & {
  /** What to accept among the hosts; default the primary. */
  readonly accept?: 'primary' | 'any';
  /** No primary below it is connected to, and the one that is raises it. */
  readonly floor?: Floor | undefined;
};

/**
 * Connects to the one host of the URL that is not in recovery, of two such hosts to the one on the newer timeline. A
 * server in recovery cannot be written and, before PostgreSQL 16, not be decoded from either. Throws the first host's
 * error that says more than "standby", `LeftBehind` before others, or `ConnectionLost` when all are standbys.
 */
export async function connectToPrimary(url: string, options: ConnectOptions): Promise<Connection> {
  const target: ConnectionTarget = connectionTarget(url);
  const asked = target.hosts.map((host) => openPrimary(target, host, options));
  try {
    const { connection, identity } = await newestPrimary(
      asked,
      (unused) => void unused.connection.close().catch(() => undefined),
    );
    if (identity) options.floor?.raise(identity);
    return connection;
  } catch (cause) {
    const faults: readonly unknown[] = cause instanceof AggregateError ? cause.errors : [cause];
    throw (
      faults.find((fault) => fault instanceof LeftBehind) ??
      faults.find((fault) => !(fault instanceof Standby)) ??
      faults[0] ??
      new ConnectionLost('the URL names no host')
    );
  }
}

class Standby extends ConnectionLost {}

/** The server takes writes, but another was promoted past it: what it says counts for nothing. */
export class LeftBehind extends ConnectionLost {}

interface Opened {
  readonly connection: Connection;
  readonly identity: ServerIdentity | null;
}

async function openPrimary(
  target: ConnectionTarget,
  host: ConnectionTarget['hosts'][number],
  options: ConnectOptions,
): Promise<Primary<Opened>> {
  const connection = await Connection.open({ ...options, target, host });
  if (options.accept === 'any') return { value: { connection, identity: null }, timeline: 0 };
  try {
    const [result] = await connection.simple(IDENTITY);
    const identity = identityFrom(result?.rows[0]);
    if (identity === null) throw new Standby(`${host.host}:${host.port} is in recovery`);
    const floor = options.floor?.current() ?? null;
    if (isBelow(identity, floor)) {
      const timelines = `on timeline ${identity.timeline}, and ${floor?.timeline} was seen`;
      throw new LeftBehind(`${host.host}:${host.port} is ${timelines}`);
    }
    return { value: { connection, identity }, timeline: identity.timeline };
  } catch (cause) {
    if (cause instanceof Standby || cause instanceof LeftBehind) await connection.close();
    else connection.destroy();
    throw cause;
  }
}

export async function isInRecovery(connection: Connection): Promise<boolean> {
  const [result] = await connection.simple('SELECT pg_is_in_recovery() AS standby');
  return result?.rows[0]?.['standby'] === 't';
}
