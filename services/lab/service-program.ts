import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { httpRequest } from '../../shared/runtime/http-request.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import type { Program } from '../../shared/servers/server-process.ts';
import { type LabPlan, SERVICES, type ServiceName, type SitePlan } from './plan.ts';
import { hostPort } from './site-config.ts';

const READY_BUDGET_MS = 2_000;
const ASK_AGAIN_MS = 100;

const entryPoint = (service: ServiceName): string =>
  join(packageRoot(), 'dist', 'services', service, 'main.js');

/** The services that this build holds. */
export const builtServices = (): ServiceName[] =>
  SERVICES.filter((service) => existsSync(entryPoint(service)));

/** How to run one of our services for a site, ready when its /readyz answers 200. */
export function serviceProgram(plan: LabPlan, site: SitePlan, service: ServiceName): Program {
  const url = `${healthUrl(plan, site, service)}/readyz`;
  return {
    file: process.execPath,
    args: ['--enable-source-maps', entryPoint(service), '--config', site.configFile],
    spawn: { cwd: packageRoot() },
    stopSignal: 'SIGTERM',
    logFile: join(plan.logDir, `${site.site}-${service}.log`),
    whyNotReady: () => unreadyReason(url),
    ready: async () => {
      const answer = await httpRequest(url, { timeoutMs: READY_BUDGET_MS }).catch(() => null);
      if (answer?.status === 200) return true;
      await delay(ASK_AGAIN_MS);
      return false;
    },
  };
}

async function unreadyReason(url: string): Promise<string> {
  const answer = await httpRequest(url, { timeoutMs: READY_BUDGET_MS }).catch(() => null);
  return answer?.text ?? 'its health listener does not answer';
}

function healthUrl(plan: LabPlan, { ports }: SitePlan, service: ServiceName): string {
  return service === 'api'
    ? `http://${hostPort(plan.listen, ports.api)}`
    : `http://127.0.0.1:${ports.health[service]}`;
}
