import type { DemoTerminal } from './demo-terminals.ts';
import type { LabPlan, SitePlan } from './plan.ts';
import type { LabSecrets } from './secrets.ts';
import { hostPort, redisUrl, type SiteDatabase } from './site-config.ts';

export type SiteEndpoints = {
  sip: { udp: string; tcp: string; ws: string; tls?: string; wss?: string };
  api: string;
  console: string;
  /** The superuser's. */
  postgres: string;
  redis: string;
  /** By part: `postgres`, `redis`, `call-control` ... Rewritten whenever one is started again. */
  pids: Record<string, number>;
};

/** What stands in `endpoints.json` while the lab is ready: all that a script needs to use it. */
export type Endpoints = {
  sites: Record<string, SiteEndpoints>;
  adminToken: string;
  /** The first site's console, with a code that logs in once. */
  console: string;
  terminals: readonly DemoTerminal[];
};

export function siteEndpoints(
  plan: LabPlan,
  site: SitePlan,
  database: SiteDatabase,
  secrets: LabSecrets,
  secure: boolean,
  pids: Record<string, number>,
): SiteEndpoints {
  const at = (port: number): string => hostPort(plan.listen, port);
  const { sip, sipTls, ws, wss, api } = site.ports;
  return {
    sip: {
      udp: at(sip),
      tcp: at(sip),
      ...(secure ? { tls: at(sipTls) } : {}),
      ws: `ws://${at(ws)}`,
      ...(secure ? { wss: `wss://${at(wss)}` } : {}),
    },
    api: `http://${at(api)}`,
    console: `http://${at(api)}/console/`,
    postgres: database.ownerUrl,
    redis: redisUrl(site, secrets),
    pids,
  };
}
