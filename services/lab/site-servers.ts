import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabOptions } from './options.ts';
import type { LabPlan, SitePlan } from './plan.ts';
import type { LabSecrets } from './secrets.ts';
import { systemBinDir } from './servers/postgres-binaries.ts';
import { preparePostgres } from './servers/postgres-program.ts';
import { prepareRedis } from './servers/redis-server.ts';
import type { Program } from './servers/server-process.ts';
import { mayReach, type ServerUser, unprivilegedUser } from './servers/server-user.ts';
import type { SiteDatabase } from './site-config.ts';

/** What has to run before a site's services can: by part name, in the order of starting. */
export type SiteServers = {
  readonly programs: ReadonlyMap<string, Program>;
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
    logFile: log('redis'),
  });
  const programs = new Map([['redis', redis.program]]);
  if (options.postgres.kind === 'urls') {
    const ownerUrl = options.postgres.urls[plan.sites.indexOf(site)];
    if (ownerUrl === undefined) throw new Error(`no database URL for site ${site.site}`);
    return { programs, maintenanceUrl: null, database: { ownerUrl } };
  }
  const binDir = options.postgres.kind === 'system' ? await requireSystemBinDir() : null;
  const postgres = await preparePostgres({
    ...(binDir ? { binDir } : {}),
    port: site.ports.postgres,
    dataDir: await postgresDataDir(site, binDir ? 'postgres-system' : 'postgres'),
    password: secrets.postgres.superuser,
    logFile: log('postgres'),
  });
  programs.set('postgres', postgres.program);
  return { programs, maintenanceUrl: postgres.url(), database: { ownerUrl: postgres.url(DATABASE) } };
}

export { DATABASE as LAB_DATABASE };

async function requireSystemBinDir(): Promise<string> {
  const binDir = await systemBinDir();
  if (!binDir)
    throw new Error('--pg system: no PostgreSQL server is installed (Debian: apt-get install postgresql)');
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
