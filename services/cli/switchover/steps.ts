import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { clientUrl } from '../../../shared/postgres/client-url.ts';
import { findPrimary, hostLabel, hostUrls } from '../../../shared/postgres/find-primary.ts';
import { translatePostgresError } from '../../../shared/postgres/postgres-error.ts';

const CONNECT_MS = 3_000;

/** Before anything is paused: the target is one of the site's hosts and a standby that answers. */
export async function checkTarget(url: string, to: string): Promise<void> {
  const target = hostUrls(url).find((candidate) => names(candidate, to));
  if (!target) throw refused(`${to} is none of the hosts of postgres.url (${hostLabel(url)})`);
  const client = new pg.Client({
    connectionString: clientUrl(target),
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: CONNECT_MS,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
    if (!rows[0]?.standby) throw refused(`${to} is the primary already`);
  } catch (error) {
    throw translatePostgresError(error);
  } finally {
    void client.end().catch(() => {});
  }
}

/** Runs the HA tool's command with `{host}` replaced. Throws with the last line it wrote when it fails. */
export async function runSwitchoverCommand(
  command: string,
  to: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const host = to.replace(/:\d+$/, '');
  if (!/^[\w.:[\]-]+$/.test(host)) throw refused(`${host} is not a host name`);
  const child = spawn('/bin/sh', ['-c', command.replaceAll('{host}', host)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => (said = (said + data).slice(-4_000)));
  const status = await new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  if (status !== 0)
    throw refused(`the switchover command ended with ${status}: ${said.trim().split('\n').at(-1) ?? ''}`);
}

/** Until the site's writable server is `to`. Throws `DATABASE_NO_PRIMARY` at the deadline. */
export async function untilPrimary(url: string, to: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const primary = await findPrimary(url, CONNECT_MS).catch(() => null);
    if (primary !== null && names(primary.url, to)) return;
    await delay(100);
  }
  throw new LastcallError('DATABASE_NO_PRIMARY', { details: { waitedFor: to, hosts: hostLabel(url) } });
}

/** `--to` may leave the port out. */
function names(url: string, to: string): boolean {
  const label = hostLabel(url);
  return label === to || label.replace(/:\d+$/, '') === to;
}

function refused(message: string): LastcallError {
  return new LastcallError('INVALID_VALUE', { details: { message } });
}
