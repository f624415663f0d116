import pino from 'pino';
import { Replicator } from '../../services/replicator/replicator.ts';
import { DEFAULT_SETTINGS, type ReplicatorSettings } from '../../services/replicator/settings.ts';
import { initSite } from '../../shared/postgres/init-site.ts';
import type { Migration } from '../../shared/postgres/migrate.ts';
import { type PostgresServer, startPostgres, systemBinDir, withClient } from './postgres.ts';
import { waitFor } from './wait-for.ts';

/** A site's database, by role. */
export interface SiteDatabase {
  readonly site: string;
  readonly owner: string;
  readonly app: string;
  readonly replicator: string;
  readonly coordinator: string;
  /** As the other sites log in. */
  readonly peer: string;
}

const PASSWORD = 'lastcall-test';

/** `url(user, password)` makes the URL of one database. */
export async function makeSite(
  site: string,
  peers: readonly string[],
  url: (user?: string, password?: string) => string,
  migrations?: readonly Migration[],
): Promise<SiteDatabase> {
  await initSite({
    ...(migrations && { migrations }),
    ownerUrl: url(),
    site,
    peers,
    passwords: { app: PASSWORD, replicator: PASSWORD, coordinator: PASSWORD, peer: PASSWORD },
  });
  return {
    site,
    owner: url(),
    app: url('lastcall_app', PASSWORD),
    replicator: url('lastcall_replicator', PASSWORD),
    coordinator: url('lastcall_coordinator', PASSWORD),
    peer: url('lastcall_peer', PASSWORD),
  };
}

/** Quick reactions, so that a test waits for conditions and not for intervals. */
export const TEST_SETTINGS: ReplicatorSettings = {
  ...DEFAULT_SETTINGS,
  heartbeatMs: 100,
  coordinatorGraceMs: 0,
  durableEveryMs: 50,
  silenceLimitMs: 2_000,
  slotLockTimeoutMs: 5_000,
  definitionCheckMs: 200,
};

/** What one site's replicator said, for assertions on its states. */
export interface RunningReplicator {
  readonly replicator: Replicator;
  /** `state reason` in the order they came. */
  readonly states: string[];
}

export function startReplicator(
  own: Pick<SiteDatabase, 'site' | 'replicator'>,
  peers: Readonly<Record<string, string>>,
  settings: Partial<ReplicatorSettings> = {},
): RunningReplicator {
  const states: string[] = [];
  const quiet = pino({ level: process.env['REPLICATOR_LOG'] ?? 'silent' });
  const log = {
    debug: quiet.debug.bind(quiet),
    warn: quiet.warn.bind(quiet),
    error: quiet.error.bind(quiet),
    info: ((fields: { state?: string; reason?: string | null }, message?: string) => {
      if (message === 'direction') states.push(`${fields.state} ${fields.reason ?? ''}`.trim());
      quiet.info(fields, message);
    }) as typeof quiet.info,
  };
  const replicator = new Replicator({
    site: own.site,
    ownUrl: own.replicator,
    peers,
    settings: { ...TEST_SETTINGS, ...settings },
    log,
  });
  replicator.start();
  return { replicator, states };
}

export async function untilStreaming(running: RunningReplicator, deadlineMs = 60_000): Promise<void> {
  const { replicator, states } = running;
  await waitFor(
    () =>
      replicator.directions.length > 0 && replicator.directions.every(({ state }) => state === 'streaming'),
    { what: 'all directions to stream', deadlineMs },
  ).catch((cause: Error) => {
    throw new Error(`${cause.message}; states were: ${states.join(', ')}`);
  });
}

/** One statement as somebody, for its rows. */
export async function query<T extends Record<string, unknown> = Record<string, unknown>>(
  url: string,
  sql: string,
  parameters: unknown[] = [],
): Promise<T[]> {
  return withClient(url, async (client) => (await client.query<T>(sql, parameters)).rows);
}

/** Debian's PostgreSQL (15), beside the embedded 18. A machine without it fails, it never skips. */
export async function startSystemPostgres(
  options: Parameters<typeof startPostgres>[0] = {},
): Promise<PostgresServer> {
  const binDir = systemBinDir();
  if (binDir === null) throw new Error('no PostgreSQL of the system: apt-get install postgresql');
  return startPostgres({ ...options, binDir });
}

/** The whole of a server as one site. */
export const siteOf =
  (server: PostgresServer) =>
  (user?: string, password?: string): string =>
    server.url('postgres', user, password);

/** Sites a and b on one server, the embedded one unless given, replicating to each other by the login that other sites have. */
export interface ReplicationPair {
  readonly server: PostgresServer;
  readonly a: SiteDatabase;
  readonly b: SiteDatabase;
  readonly atA: RunningReplicator;
  readonly atB: RunningReplicator;
  streaming(): Promise<unknown>;
  stop(): Promise<void>;
}

export async function startReplicationPair(given?: PostgresServer): Promise<ReplicationPair> {
  const server = given ?? (await startPostgres());
  for (const site of ['a', 'b']) await server.createDatabase(`site_${site}`);
  const a = await makeSite('a', ['b'], (user, password) => server.url('site_a', user, password));
  const b = await makeSite('b', ['a'], (user, password) => server.url('site_b', user, password));
  const atA = startReplicator(a, { b: b.peer });
  const atB = startReplicator(b, { a: a.peer });
  return {
    server,
    a,
    b,
    atA,
    atB,
    streaming: () => Promise.all([atA, atB].map((one) => untilStreaming(one))),
    async stop() {
      await Promise.all([atA, atB].map(({ replicator }) => replicator.stop()));
      await server.remove();
    },
  };
}
