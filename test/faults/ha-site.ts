import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';
import { comparePair } from '../../services/coordinator/compare-pair.ts';
import type { FlowOptions } from '../../services/coordinator/flow.ts';
import { Ledger } from '../../services/coordinator/ledger.ts';
import { DEFAULT_SETTINGS } from '../../services/coordinator/settings.ts';
import { SiteFloors } from '../../services/coordinator/site-floors.ts';
import { raisedFloor, type ServerIdentity } from '../../shared/domain/server-identity.ts';
import { Database } from '../../shared/postgres/database.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { runProgram } from '../../shared/servers/run-program.ts';
import { giveTo, spawnAs, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import { type PostgresServer, startPostgres, systemBinDir, withClient } from '../support/postgres.ts';
import { makeSite, query, type SiteDatabase, startSystemPostgres } from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';

/** A site whose PostgreSQL has asynchronous standbys; its URLs name every server. */
export interface HaSite {
  readonly database: SiteDatabase;
  /** The servers in the order they were made; the first was the first primary. */
  readonly servers: readonly PostgresServer[];
  /** Adds a streaming standby of `primary` and gives it to the site's URLs. */
  remove(): Promise<void>;
}

/** A primary of Debian's PostgreSQL with `standbys` streaming from it. */
export async function startHaSite(site: string, peers: readonly string[], standbys = 1): Promise<HaSite> {
  const settings = { max_slot_wal_keep_size: '-1', hot_standby_feedback: 'on', wal_keep_size: '64MB' };
  const primary = await startSystemPostgres({ settings });
  await makeSite(site, peers, (user, password) => primary.url('postgres', user, password));
  const servers = [primary];
  for (let made = 0; made < standbys; made++) servers.push(await startStandby(primary, settings));
  return {
    servers,
    database: haDatabase(site, servers),
    remove: async () => {
      await Promise.all(servers.map((server) => server.remove()));
    },
  };
}

export function haDatabase(site: string, servers: readonly PostgresServer[]): SiteDatabase {
  const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(',');
  const url = (user: string): string => `postgres://${user}:lastcall-test@${hosts}/postgres`;
  return {
    site,
    owner: url('postgres'),
    app: url('lastcall_app'),
    replicator: url('lastcall_replicator'),
    coordinator: url('lastcall_coordinator'),
    peer: url('lastcall_peer'),
  };
}

export async function startStandby(
  primary: PostgresServer,
  settings: Record<string, string | number> = {},
): Promise<PostgresServer> {
  const user = unprivilegedUser();
  const dataDir = await mkdtemp(join(privateTemporaryFolder(), 'standby-'));
  await giveTo(user, dataDir);
  const binDir = systemBinDir('repmgrd');
  if (binDir === null) throw new Error('no PostgreSQL of the system: apt-get install postgresql');
  await runProgram(
    join(binDir, 'pg_basebackup'),
    ['-d', primary.url(), '-D', dataDir, '-R', '--wal-method=stream', '--checkpoint=fast', '--no-sync'],
    spawnAs(user),
  );
  const standby = await startPostgres({ binDir, dataDir, port: await freePort(), settings });
  await waitFor(
    async () =>
      (
        await query(
          primary.url(),
          `SELECT FROM pg_stat_replication WHERE state = 'streaming' AND client_port IS NOT NULL`,
        )
      ).length > 0,
    { what: 'the standby to stream' },
  );
  return standby;
}

/** From now on the standby gets nothing more: what the primary commits is lost with it. */
export async function freezeStandby(standby: PostgresServer): Promise<void> {
  await withClient(standby.url(), async (client) => {
    await client.query(`ALTER SYSTEM SET primary_conninfo = ''`);
    await client.query('SELECT pg_reload_conf()');
  });
  await waitFor(async () => (await query(standby.url(), 'SELECT FROM pg_stat_wal_receiver')).length === 0, {
    what: 'the WAL receiver to stop',
  });
}

/** Until the standby has replayed all that the primary wrote. */
export async function untilReplayed(primary: PostgresServer, standby: PostgresServer): Promise<void> {
  const [{ lsn }] = (await query(primary.url(), 'SELECT pg_current_wal_lsn()::text AS lsn')) as [
    { lsn: string },
  ];
  await waitFor(
    async () =>
      (
        await query<{ ok: boolean }>(standby.url(), 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS ok', [
          lsn,
        ])
      )[0]?.ok,
    { what: 'the standby to catch up' },
  );
}

export async function promote(standby: PostgresServer): Promise<void> {
  await query(standby.url(), 'SELECT pg_promote(true, 30)');
  await waitFor(
    async () => (await query<{ up: boolean }>(standby.url(), 'SELECT NOT pg_is_in_recovery() AS up'))[0]?.up,
    {
      what: 'the promoted standby to take writes',
    },
  );
}

/** Of sites of which nothing is remembered yet. */
export function newFloors(): SiteFloors {
  return new SiteFloors(() => {
    let floor: ServerIdentity | null = null;
    return {
      current: () => floor,
      raise: (seen) => {
        floor = raisedFloor(floor, seen);
      },
    };
  });
}

export const quiet = pino({ level: process.env['COORDINATOR_LOG'] ?? 'silent' });

/** What a coordinator at `home` works with. Close the database at the end. */
export async function flowOptions(
  sites: readonly SiteDatabase[],
  home: SiteDatabase,
): Promise<FlowOptions & { readonly database: Database }> {
  const database = new Database({ url: home.coordinator, applicationName: 'test-coordinator' });
  await database.start();
  return {
    database,
    sites: new Map(sites.map(({ site, coordinator }) => [site, coordinator])),
    ledger: new Ledger(database),
    settings: { ...DEFAULT_SETTINGS, barrierTimeoutMs: 15_000, lookDeadlineMs: 3_000 },
    log: quiet,
    floors: newFloors(),
    compare: comparePair,
  };
}
