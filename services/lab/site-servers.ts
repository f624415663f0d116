import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemBinDir } from '../../shared/servers/postgres-binaries.ts';
import { preparePostgres } from '../../shared/servers/postgres-program.ts';
import { prepareRedis } from '../../shared/servers/redis-server.ts';
import type { Program } from '../../shared/servers/server-process.ts';
import { mayReach, type ServerUser, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { openHaCluster } from './ha/ha-servers.ts';
import { Obstacle } from './obstacle.ts';
import type { LabOptions } from './options.ts';
import type { LabPlan, SitePlan } from './plan.ts';
import type { LabSecrets } from './secrets.ts';
import type { SiteDatabase } from './site-config.ts';

/** What has to run before a site's services can, by part name. */
export type SiteServers = {
  /** Start together. */
  readonly programs: ReadonlyMap<string, Program>;
  /** Start when the databases are there, one stage after the other. */
  readonly followers: readonly (readonly (readonly [string, Program])[])[];
  /** Done between the two. */
  readonly beforeFollowers?: () => Promise<void>;
  /** The superuser's URL of the maintenance database; `null` when the user's own server is used as it is. */
  readonly maintenanceUrl: string | null;
  readonly database: SiteDatabase;
};

const DATABASE = 'lastcall';

/** Makes the data folders of a site's PostgreSQL and Redis and says how to run them. */
export async function prepareSiteServers(
  options: LabOptions,
  plan: LabPlan,
  site: SitePlan,
  secrets: LabSecrets,
): Promise<SiteServers> {
  const log = (part: string): string => join(plan.logDir, `${site.site}-${part}.log`);
  const redis = await prepareRedis({
    port: site.ports.redis,
    dataDir: join(site.dataDir, 'redis'),
    password: secrets.redis,
    logFile: log('redis'),
  });
  const programs = new Map([['redis', redis.program]]);
  if (options.postgres.kind === 'urls') {
    const ownerUrl = options.postgres.urls[plan.sites.indexOf(site)];
    if (ownerUrl === undefined) throw new Error(`no database URL for site ${site.site}`);
    return { programs, followers: [], maintenanceUrl: null, database: { ownerUrl, hosts: null } };
  }
  if (site.ports.standby !== null) return haServers(plan, site, secrets, programs);
  const binDir = options.postgres.kind === 'system' ? requireSystemBinDir() : null;
  const postgres = await preparePostgres({
    ...(binDir ? { binDir } : {}),
    port: site.ports.postgres,
    dataDir: await postgresDataDir(site, binDir ? 'postgres-system' : 'postgres'),
    password: secrets.postgres.superuser,
    logFile: log('postgres'),
  });
  programs.set('postgres', postgres.program);
  const database = { ownerUrl: postgres.url(DATABASE), hosts: null };
  return { programs, followers: [], maintenanceUrl: postgres.url(), database };
}

async function haServers(
  plan: LabPlan,
  site: SitePlan,
  secrets: LabSecrets,
  programs: Map<string, Program>,
): Promise<SiteServers> {
  const folder = await postgresDataDir(site, 'ha');
  const cluster = await openHaCluster(plan, site, secrets, requireSystemBinDir('repmgrd'), folder);
  programs.set(...(await cluster.primaryProgram()));
  const hosts = [site.ports.postgres, site.ports.standby].map((port) => `127.0.0.1:${port}`).join(',');
  return {
    programs,
    followers: cluster.followers(),
    beforeFollowers: () => cluster.registerPrimary(),
    maintenanceUrl: cluster.primaryUrl(),
    database: { ownerUrl: cluster.primaryUrl(DATABASE), hosts },
  };
}

export { DATABASE as LAB_DATABASE };

function requireSystemBinDir(program: 'initdb' | 'repmgrd' = 'initdb'): string {
  const binDir = systemBinDir(program);
  if (!binDir) throw new Obstacle('No PostgreSQL server is installed (Debian: apt-get install postgresql)');
  return binDir;
}

/** In the lab's folder, unless that lies in a home folder closed to the user that root must run PostgreSQL as. */
export async function postgresDataDir(site: SitePlan, name: string): Promise<string> {
  const user: ServerUser | null = unprivilegedUser();
  await mkdir(site.dataDir, { recursive: true });
  if (await mayReach(user, site.dataDir)) return join(site.dataDir, name);
  const mark = createHash('sha256').update(site.dataDir).digest('hex').slice(0, 12);
  const folder = join('/var/tmp', `lastcall-lab-${mark}`);
  await mkdir(folder, { recursive: true, mode: 0o711 });
  return join(folder, name);
}
