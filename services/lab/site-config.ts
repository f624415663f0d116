import { join } from 'node:path';
import { stringify } from 'yaml';
import { DOMAIN, type LabPlan, type SitePlan } from './plan.ts';
import type { LabSecrets } from './secrets.ts';

export type SiteDatabase = {
  /** The superuser's URL of the site's database, at the server that is the primary when the lab starts. */
  readonly ownerUrl: string;
  /** `host:port,host:port` of every server that may become the primary; `null` when there is but one. */
  readonly hosts: string | null;
};
/** PEM files for TLS and WSS. */
export type CertificateFiles = { readonly certificate: string; readonly key: string };

/** Half of the max_slot_wal_keep_size that the lab's PostgreSQL runs with: ours must give up a slot first. */
const SLOT_BUDGET_BYTES = 536_870_912;

/** `url` for another role. */
export function asRole(url: string, role: string, password: string): string {
  return url.replace(/^(postgres(?:ql)?:\/\/)(?:[^@/]*@)?/, `$1${role}:${encodeURIComponent(password)}@`);
}

/** What the services connect to: whichever of the site's servers is the primary. */
export function serviceUrl({ ownerUrl, hosts }: SiteDatabase): string {
  return hosts === null ? ownerUrl : ownerUrl.replace(/@[^/]+\//, `@${hosts}/`);
}

/** The site's configuration file, as `lastcall config check` accepts it. The console's softphone offers the `accounts`. */
export function siteConfig(
  plan: LabPlan,
  own: SitePlan,
  databases: ReadonlyMap<string, SiteDatabase>,
  secrets: LabSecrets,
  tls: CertificateFiles | null,
  accounts: readonly { readonly username: string; readonly password: string }[] = [],
): string {
  const database = databaseOf(databases, own);
  const url = serviceUrl(database);
  const listen = (port: number): string => hostPort(plan.listen, port);
  const config = {
    site: own.site,
    domain: DOMAIN,
    postgres: {
      url: asRole(url, 'lastcall_app', secrets.postgres.app),
      ...roleUrls(url, secrets),
      ownerUrl: database.ownerUrl,
    },
    redis: { url: redisUrl(own, secrets) },
    journal: { ringDirectory: join(own.dataDir, 'ring') },
    sip: {
      udp: listen(own.ports.sip),
      tcp: listen(own.ports.sip),
      ws: listen(own.ports.ws),
      ...(tls ? { tls: listen(own.ports.sipTls), wss: listen(own.ports.wss), ...tls } : {}),
      drainSeconds: 2,
      siteKey: secrets.siteKey,
    },
    api: {
      listen: listen(own.ports.api),
      tokens: Object.entries(secrets.tokens).map(([role, token]) => ({ token, role })),
      ...(accounts.length > 0 ? { demoAccounts: accounts } : {}),
    },
    calls: { recordDays: 7 },
    health: {
      callControl: `127.0.0.1:${own.ports.health['call-control']}`,
      replicator: `127.0.0.1:${own.ports.health.replicator}`,
      coordinator: `127.0.0.1:${own.ports.health.coordinator}`,
    },
    peers: Object.fromEntries(
      plan.sites
        .filter(({ site }) => site !== own.site)
        .map((peer) => [
          peer.site,
          {
            sip: `sip:${hostPort(plan.listen, peer.ports.sip)}`,
            ...peerUrls(serviceUrl(databaseOf(databases, peer)), secrets),
          },
        ]),
    ),
    replication: { slotBudgetBytes: SLOT_BUDGET_BYTES },
    log: { pretty: true },
  };
  return `# Written by npm start at every start.\n${stringify(config, { lineWidth: 0 })}`;
}

export const redisUrl = ({ ports }: SitePlan, { redis }: Pick<LabSecrets, 'redis'>): string =>
  `redis://:${redis}@127.0.0.1:${ports.redis}`;

export const hostPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/** As the other sites log in. */
function peerUrls(url: string, secrets: LabSecrets) {
  return {
    ...roleUrls(url, secrets),
    replicatorUrl: asRole(url, 'lastcall_peer', secrets.postgres.peer),
  };
}

function roleUrls(url: string, { postgres }: LabSecrets) {
  return {
    replicatorUrl: asRole(url, 'lastcall_replicator', postgres.replicator),
    coordinatorUrl: asRole(url, 'lastcall_coordinator', postgres.coordinator),
  };
}

function databaseOf(databases: ReadonlyMap<string, SiteDatabase>, { site }: SitePlan): SiteDatabase {
  const database = databases.get(site);
  if (!database) throw new Error(`no database for site ${site}`);
  return database;
}
