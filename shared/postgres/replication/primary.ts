import { Connection, type OpenOptions } from './connection.ts';
import { type ConnectionTarget, connectionTarget } from './connection-target.ts';
import { ConnectionLost } from './server-error.ts';

export type ConnectOptions = Omit<OpenOptions, 'target' | 'host'> & {
  /** What to accept among the hosts; default the primary. */
  readonly accept?: 'primary' | 'any';
};

/**
 * Connects to the one host of the URL that is not in recovery. A server in recovery cannot be written and, before
 * PostgreSQL 16, not be decoded from either. Throws the last host's error, or `ConnectionLost` when all are standbys.
 */
export async function connectToPrimary(url: string, options: ConnectOptions): Promise<Connection> {
  const target: ConnectionTarget = connectionTarget(url);
  let fault: unknown = new ConnectionLost('the URL names no host');
  for (const host of target.hosts) {
    try {
      const connection = await Connection.open({ ...options, target, host });
      if (options.accept === 'any' || !(await isInRecovery(connection))) return connection;
      await connection.close();
      fault = new ConnectionLost(`${host.host}:${host.port} is in recovery`);
    } catch (cause) {
      fault = cause;
    }
  }
  throw fault;
}

export async function isInRecovery(connection: Connection): Promise<boolean> {
  const [result] = await connection.simple('SELECT pg_is_in_recovery() AS standby');
  return result?.rows[0]?.['standby'] === 't';
}
