import pg from 'pg';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { clientUrl } from '../../../shared/postgres/client-url.ts';
import { hostLabel } from '../../../shared/postgres/find-primary.ts';
import { SQLSTATE } from '../../../shared/postgres/sqlstate.ts';

/** PAUSE waits until no transaction runs: queries wait in PgBouncer instead of failing. All or none stay paused. */
export async function pauseBouncers(urls: readonly string[]): Promise<void> {
  try {
    for (const url of urls) await adminCommands(url, ['PAUSE']);
  } catch (error) {
    await resumeBouncers(urls).catch(() => {});
    throw error;
  }
}

/** RECONNECT first, so that no server connection to the old primary is used again. Tries every one before it throws. */
export async function resumeBouncers(urls: readonly string[]): Promise<void> {
  const results = await Promise.allSettled(urls.map((url) => adminCommands(url, ['RECONNECT', 'RESUME'])));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** `ERROR: ... is not paused` says that the aim is reached. */

async function adminCommands(url: string, commands: readonly string[]): Promise<void> {
  const client = new pg.Client({
    connectionString: clientUrl(url),
    connectionTimeoutMillis: 3_000,
    query_timeout: 30_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    for (const command of commands) await client.query(command);
  } catch (cause) {
    if (
      commands.includes('RESUME') &&
      cause instanceof pg.DatabaseError &&
      cause.code === SQLSTATE.PROTOCOL_VIOLATION
    )
      return;
    throw new LastcallError('DATABASE_UNREACHABLE', {
      cause,
      details: { pgbouncer: hostLabel(url), commands },
    });
  } finally {
    void client.end().catch(() => {});
  }
}
