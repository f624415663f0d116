import { mkdir, writeFile } from 'node:fs/promises';
import { initSite } from '../../shared/postgres/init-site.ts';
import { translatePostgresError } from '../../shared/postgres/postgres-error.ts';
import { createDatabase } from '../../shared/servers/postgres-program.ts';
import type { Program } from '../../shared/servers/server-process.ts';
import { ensureCertificate } from './certificate.ts';
import { consoleLink } from './console-link.ts';
import { type ControlRequest, serveControl } from './control.ts';
import { demoTerminals, provisionTerminals, SHOWN_ACCOUNTS } from './demo-terminals.ts';
import { type Endpoints, siteEndpoints } from './endpoints.ts';
import { EndpointsFile } from './endpoints-file.ts';
import type { LabOptions } from './options.ts';
import { DOMAIN, type LabPlan } from './plan.ts';
import { readyParts } from './ready-parts.ts';
import { type LabSecrets, loadSecrets, saveSecrets } from './secrets.ts';
import { builtServices, serviceProgram } from './service-program.ts';
import { type CertificateFiles, type SiteDatabase, siteConfig } from './site-config.ts';
import { LAB_DATABASE, prepareSiteServers, type SiteServers } from './site-servers.ts';
import { Supervisor } from './supervisor.ts';
import { writeAtomically } from './write-atomically.ts';

/** Complete sites on one machine: their servers, their services, and the files that say where everything is. */
export class Lab {
  readonly #options: LabOptions;
  readonly #plan: LabPlan;
  readonly #say: (line: string) => void;
  /** In the order of starting; stopped in reverse. */
  readonly #stages: Supervisor[][] = [];
  readonly #databases = new Map<string, SiteDatabase>();
  readonly #endpointsFile: EndpointsFile;
  #control: { close(): void } | null = null;

  constructor(options: LabOptions, plan: LabPlan, say: (line: string) => void) {
    this.#options = options;
    this.#plan = plan;
    this.#endpointsFile = new EndpointsFile(plan.endpointsFile);
    this.#say = say;
  }

  /** Resolves when every part of every site is ready. When it throws, or `signal` aborts it, `stop` is still owed. */
  async start(signal: AbortSignal): Promise<Endpoints> {
    for (const folder of [this.#plan.dataDir, this.#plan.logDir]) await mkdir(folder, { recursive: true });
    const secrets = await loadSecrets(this.#plan.secretsFile);
    const tls = await ensureCertificate(this.#plan.tlsDir, [
      DOMAIN,
      'localhost',
      '127.0.0.1',
      this.#plan.listen,
    ]);
    const servers = await this.#startServers(secrets, signal);
    await this.#initialiseSites(secrets);
    await this.#startFollowers(servers, signal);
    await this.#writeConfigs(secrets, tls);
    await this.#startServices(signal);
    this.#control = serveControl(this.#plan.dataDir, (request) => this.#perform(request));
    return this.#publishEndpoints(secrets);
  }

  /** Ends everything that was started, the services before their databases. */
  async stop(): Promise<void> {
    this.#control?.close();
    await this.#endpointsFile.withdraw();
    for (const stage of this.#stages.reverse()) await Promise.all(stage.map((part) => part.stop()));
  }

  /** For a user who will not wait. */
  async kill(): Promise<void> {
    await Promise.all(this.#stages.flat().map((part) => part.kill()));
  }

  async #startServers(secrets: LabSecrets, signal: AbortSignal): Promise<ReadonlyMap<string, SiteServers>> {
    this.#say('Starting PostgreSQL and Redis ...');
    const prepared = new Map(
      await Promise.all(
        this.#plan.sites.map(async (site) => {
          const servers = await prepareSiteServers(this.#options, this.#plan, site, secrets);
          return [site.site, servers] as const;
        }),
      ),
    );
    for (const [site, { database }] of prepared) this.#databases.set(site, database);
    await this.#startStage(
      [...prepared].flatMap(([site, { programs }]) => named(site, [...programs])),
      signal,
    );
    await Promise.all([...prepared.values()].map(makeDatabase));
    return prepared;
  }

  /** Standbys copy a primary that is whole. */
  async #startFollowers(servers: ReadonlyMap<string, SiteServers>, signal: AbortSignal): Promise<void> {
    for (const [site, { followers, beforeFollowers }] of servers) {
      if (followers.length > 0) this.#say(`Starting the standby of site ${site} ...`);
      await beforeFollowers?.();
      for (const stage of followers) await this.#startStage(named(site, stage), signal);
    }
  }

  async #initialiseSites(secrets: LabSecrets): Promise<void> {
    this.#say('Bringing the databases up to date ...');
    const { app, replicator, coordinator, peer } = secrets.postgres;
    const terminals = demoTerminals(this.#options.terminals, secrets.terminalKey);
    const provisioned = { ...secrets.provisioned };
    const names = this.#plan.sites.map(({ site }) => site);
    // One after the other: two sites in one cluster would race for its roles.
    for (const [site, { ownerUrl }] of this.#databases) {
      const peers = names.filter((name) => name !== site);
      await initSite({ ownerUrl, site, peers, passwords: { app, replicator, coordinator, peer } }).catch(
        (error: unknown) => {
          throw translatePostgresError(error);
        },
      );
      await provisionTerminals(ownerUrl, site, terminals, provisioned);
    }
    await saveSecrets(this.#plan.secretsFile, { ...secrets, provisioned });
  }

  async #writeConfigs(secrets: LabSecrets, tls: CertificateFiles): Promise<void> {
    const accounts = demoTerminals(
      Math.min(this.#options.terminals, SHOWN_ACCOUNTS),
      secrets.terminalKey,
    ).map(({ username, password }) => ({ username, password }));
    for (const site of this.#plan.sites) {
      const config = siteConfig(this.#plan, site, this.#databases, secrets, tls, accounts);
      await writeAtomically(site.configFile, config);
    }
  }

  async #startServices(signal: AbortSignal): Promise<void> {
    this.#say('Starting the services ...');
    const programs = this.#plan.sites.flatMap((site) =>
      builtServices().map(
        (service) => [`${site.site}.${service}`, serviceProgram(this.#plan, site, service)] as const,
      ),
    );
    await this.#startStage(programs, signal);
  }

  async #startStage(programs: readonly (readonly [string, Program])[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    for (const [, { logFile }] of programs) if (logFile) await writeFile(logFile, '', { flag: 'a' });
    const stage = programs.map(([name, program]) => this.#supervise(name, program));
    this.#stages.push(stage);
    for (const part of stage) part.start();
    await readyParts(stage, signal);
  }

  #supervise(name: string, program: Program): Supervisor {
    return new Supervisor({
      name,
      program,
      onEnd: ({ how, restartInMs }) => {
        const next =
          restartInMs === null
            ? `it stays down until npm start -- --revive ${name}`
            : `starting it again in ${restartInMs} ms`;
        this.#say(`${name} ended (${how}); ${next}`);
        if (restartInMs === null) void this.#refreshPids();
      },
      onRestart: () => this.#refreshPids(),
    });
  }

  async #publishEndpoints(secrets: LabSecrets): Promise<Endpoints> {
    const sites = this.#plan.sites.map((site) => {
      const database = this.#databases.get(site.site);
      if (!database) throw new Error(`no database for site ${site.site}`);
      return [
        site.site,
        siteEndpoints(this.#plan, site, database, secrets, true, this.#pids(site.site)),
      ] as const;
    });
    const endpoints: Endpoints = {
      sites: Object.fromEntries(sites),
      adminToken: secrets.tokens.admin,
      console: await consoleLink(sites[0]?.[1].api ?? '', secrets.tokens.admin),
      terminals: demoTerminals(this.#options.terminals, secrets.terminalKey),
    };
    await this.#endpointsFile.publish(endpoints);
    return endpoints;
  }

  /** A data folder that cannot be written to is said, and ends nothing. */
  async #refreshPids(): Promise<void> {
    await this.#endpointsFile
      .refreshPids((site) => this.#pids(site))
      .catch((error: Error) => this.#say(error.message));
  }

  #pids(site: string): Record<string, number> {
    const running = this.#parts(site).filter((part) => part.pid !== null);
    return Object.fromEntries(running.map((part) => [part.name.slice(site.length + 1), part.pid as number]));
  }

  #parts(site: string): Supervisor[] {
    return this.#stages.flat().filter((part) => part.name.startsWith(`${site}.`));
  }

  async #perform({ do: what, site, part }: ControlRequest): Promise<void> {
    const chosen = this.#parts(site).filter(({ name }) => part === null || name === `${site}.${part}`);
    if (chosen.length === 0)
      throw new Error(
        `there is no ${site}${part ? `.${part}` : ''}; there are ${this.#stages
          .flat()
          .map(({ name }) => name)
          .join(', ')}`,
      );
    if (what === 'halt') for (const one of chosen.reverse()) await one.stop();
    else {
      for (const one of chosen) one.start();
      await readyParts(chosen, new AbortController().signal);
    }
    this.#say(
      `${chosen.map(({ name }) => name).join(', ')}: ${what === 'halt' ? 'taken down' : 'started again'}`,
    );
    await this.#refreshPids();
  }
}

type NamedPrograms = readonly (readonly [string, Program])[];

const named = (site: string, programs: NamedPrograms): NamedPrograms =>
  programs.map(([part, program]) => [`${site}.${part}`, program] as const);

async function makeDatabase({ maintenanceUrl }: SiteServers): Promise<void> {
  if (maintenanceUrl) await createDatabase(maintenanceUrl, LAB_DATABASE);
}
