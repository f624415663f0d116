import { join } from 'node:path';
import type { LabOptions } from './options.ts';

/** The SIP domain and digest realm of every lab. */
export const DOMAIN = 'lastcall.test';
export const SERVICES = ['call-control', 'replicator', 'coordinator', 'api'] as const;
export type ServiceName = (typeof SERVICES)[number];

export type PlannedPorts = {
  readonly sip: number;
  readonly sipTls: number;
  readonly ws: number;
  readonly wss: number;
  readonly api: number;
  readonly postgres: number;
  readonly redis: number;
  readonly health: Readonly<Record<Exclude<ServiceName, 'api'>, number>>;
  /** Of the streaming standby that `--ha` gives the first site. */
  readonly standby: number | null;
};

export type SitePlan = {
  readonly site: string;
  readonly ports: PlannedPorts;
  readonly configFile: string;
  /** Of PostgreSQL and Redis. */
  readonly dataDir: string;
};

export type LabPlan = {
  readonly dataDir: string;
  readonly logDir: string;
  readonly tlsDir: string;
  readonly endpointsFile: string;
  readonly secretsFile: string;
  readonly pidFile: string;
  readonly listen: string;
  readonly sites: readonly SitePlan[];
};

/** A port that must be free, and what wants it. */
export type NeededPort = {
  readonly transport: 'tcp' | 'udp';
  readonly host: string;
  readonly port: number;
  readonly what: string;
};

/** The files of a lab, which `--stop` needs without the rest of the plan. */
export function labFiles(dataDir: string): Omit<LabPlan, 'listen' | 'sites'> {
  return {
    dataDir,
    logDir: join(dataDir, 'logs'),
    tlsDir: join(dataDir, 'tls'),
    endpointsFile: join(dataDir, 'endpoints.json'),
    secretsFile: join(dataDir, 'secrets.json'),
    pidFile: join(dataDir, 'lab.pid'),
  };
}

/** Every port and path of a lab. Sites stand ten ports apart, their databases one. */
export function planLab(options: LabOptions, dataDir: string): LabPlan {
  const sites = Array.from({ length: options.sites }, (_, index): SitePlan => {
    const site = String.fromCharCode('a'.charCodeAt(0) + index);
    return {
      site,
      ports: planPorts(index, options.portOffset, options.highAvailability && index === 0),
      configFile: join(dataDir, `${site}.yaml`),
      dataDir: join(dataDir, site),
    };
  });
  return { ...labFiles(dataDir), listen: options.listen, sites };
}

function planPorts(index: number, offset: number, withStandby: boolean): PlannedPorts {
  const tens = index * 10 + offset;
  const ones = index + offset;
  return {
    sip: 5060 + tens,
    sipTls: 5061 + tens,
    ws: 5062 + tens,
    wss: 5063 + tens,
    api: 8080 + tens,
    postgres: 55432 + ones,
    redis: 56379 + ones,
    health: { 'call-control': 8081 + tens, replicator: 8082 + tens, coordinator: 8083 + tens },
    standby: withStandby ? 55442 + offset : null,
  };
}

/** What has to be free before the lab starts. */
export function neededPorts(plan: LabPlan, startsPostgres: boolean): NeededPort[] {
  return plan.sites.flatMap(({ site, ports }) => {
    const tcp = (host: string, port: number, what: string): NeededPort => ({
      transport: 'tcp',
      host,
      port,
      what: `${what} of site ${site}`,
    });
    const local = (port: number, what: string): NeededPort => tcp('127.0.0.1', port, what);
    return [
      { transport: 'udp', host: plan.listen, port: ports.sip, what: `SIP of site ${site}` },
      tcp(plan.listen, ports.sip, 'SIP'),
      tcp(plan.listen, ports.sipTls, 'SIP over TLS'),
      tcp(plan.listen, ports.ws, 'SIP over WebSocket'),
      tcp(plan.listen, ports.wss, 'SIP over secure WebSocket'),
      tcp(plan.listen, ports.api, 'REST'),
      local(ports.redis, 'Redis'),
      ...(startsPostgres ? [local(ports.postgres, 'PostgreSQL')] : []),
      ...(ports.standby === null ? [] : [local(ports.standby, 'the standby')]),
      ...Object.entries(ports.health).map(([service, port]) => local(port, `health of ${service}`)),
    ];
  });
}
