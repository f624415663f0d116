import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../../shared/runtime/package-root.ts';
import { postgresBinaries } from '../../../shared/servers/postgres-binaries.ts';
import { giveTo, mayReach, unprivilegedUser } from '../../../shared/servers/server-user.ts';
import type { LabPlan, SitePlan } from '../plan.ts';
import type { LabSecrets } from '../secrets.ts';
import { hostPort } from '../site-config.ts';
import { HaCluster } from './ha-cluster.ts';
import { Repmgr, type RepmgrNode } from './repmgr.ts';

/** The two servers of a site under repmgr, in folders beside each other that their user owns. */
export async function openHaCluster(
  plan: LabPlan,
  site: SitePlan,
  secrets: LabSecrets,
  binDir: string,
  folder: string,
): Promise<HaCluster> {
  const user = unprivilegedUser();
  await mkdir(folder, { recursive: true });
  await giveTo(user, folder);
  const binaries = await postgresBinaries(user, binDir);
  const node = (id: number, name: string, port: number): RepmgrNode => ({
    id,
    name,
    port,
    dataDir: join(folder, name),
  });
  if (site.ports.standby === null) throw new Error(`no standby is planned for site ${site.site}`);
  return HaCluster.open({
    repmgr: new Repmgr({
      binDir: dirname(join(binaries.binDir, 'repmgr')),
      folder,
      password: secrets.postgres.repmgr,
      eventCommand: await hookCommand(site),
    }),
    binaries,
    nodes: [node(1, 'postgres', site.ports.postgres), node(2, 'standby', site.ports.standby)],
    password: secrets.postgres.superuser,
    repmgrPassword: secrets.postgres.repmgr,
    logFile: (part) => join(plan.logDir, `${site.site}-${part}.log`),
    environment: {
      LASTCALL_API: `http://${hostPort(plan.listen, site.ports.api)}`,
      LASTCALL_TOKEN: secrets.tokens.admin,
    },
  });
}

/**
 * What repmgrd tells of a promotion. It runs as the database's user: from a working copy in a closed home folder it could not,
 * and the coordinator finds the promotion by its own watch.
 */
async function hookCommand({ site }: SitePlan): Promise<string | null> {
  const cli = join(packageRoot(), 'dist', 'services', 'cli', 'main.js');
  if (!(await mayReach(unprivilegedUser(), dirname(cli)).catch(() => false))) return null;
  return `"${process.execPath}" "${cli}" --site ${site} hook repmgr %n %e %s "%t" "%d"`;
}
