import { newestPrimary, type Primary } from '../newest-primary.ts';
import { CURRENT_TIMELINE } from '../server-identity.ts';
import { Connection, type OpenOptions } from '../wire/connection.ts';
import { type ConnectionTarget, connectionTarget } from '../wire/connection-target.ts';
import { ConnectionLost } from '../wire/server-error.ts';

export type ConnectOptions = Omit<OpenOptions, 'target' | 'host'> & {
  /** What to accept among the hosts; default the primary. */
  readonly accept?: 'primary' | 'any';
};

/**
 * Connects to the one host of the URL that is not in recovery, of two such hosts to the one on the newer timeline. A
 * server in recovery cannot be written and, before PostgreSQL 16, not be decoded from either. Throws the first host's
 * error that says more than "standby", or `ConnectionLost` when all are standbys.
 */
export async function connectToPrimary(url: string, options: ConnectOptions): Promise<Connection> {
  const target: ConnectionTarget = connectionTarget(url);
  const asked = target.hosts.map((host) => openPrimary(target, host, options));
  try {
    return await newestPrimary(asked, (connection) => void connection.close());
  } catch (cause) {
    const faults: readonly unknown[] = cause instanceof AggregateError ? cause.errors : [cause];
    throw (
      faults.find((fault) => !(fault instanceof Standby)) ??
      faults[0] ??
      new ConnectionLost('the URL names no host')
    );
  }
}

class Standby extends ConnectionLost {}

async function openPrimary(
  target: ConnectionTarget,
  host: ConnectionTarget['hosts'][number],
  options: ConnectOptions,
): Promise<Primary<Connection>> {
  const connection = await Connection.open({ ...options, target, host });
  if (options.accept === 'any') return { value: connection, timeline: 0 };
  try {
    const [result] = await connection.simple(`SELECT ${CURRENT_TIMELINE} AS timeline`);
    const timeline = result?.rows[0]?.['timeline'] ?? null;
    if (timeline !== null) return { value: connection, timeline: Number.parseInt(timeline, 16) };
  } catch (cause) {
    connection.destroy();
    throw cause;
  }
  await connection.close();
  throw new Standby(`${host.host}:${host.port} is in recovery`);
}

export async function isInRecovery(connection: Connection): Promise<boolean> {
  const [result] = await connection.simple('SELECT pg_is_in_recovery() AS standby');
  return result?.rows[0]?.['standby'] === 't';
}
