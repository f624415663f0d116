import pino from 'pino';
import { stringify } from 'yaml';
import { CallControl } from '../../services/call-control/call-control.ts';
import type { Migration } from '../../shared/postgres/migrate.ts';
import { parseConfig } from '../../shared/runtime/config.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { ringDirectory } from './kept-calls.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { type RedisServer, startRedis } from './redis.ts';
import {
  makeSite,
  type RunningReplicator,
  type SiteDatabase,
  startReplicator,
  untilStreaming,
} from './replication-pair.ts';
import { type PhoneOptions, SipPhone } from './sip-phone.ts';
import { DOMAIN, type NewTerminal, passwordOf, provision } from './site-terminals.ts';

/** What both sites prove themselves with. */
export const SITE_KEY = 'key-of-both-sites-under-test-0123';

export type SiteName = 'a' | 'b';

/** Overrides of one site's configuration, section by section. */
export type Overrides = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** A call-control under test: started in this process, on free ports. */
export interface RunningSite {
  readonly name: SiteName;
  readonly database: SiteDatabase;
  readonly udp: string;
  readonly tcp: string;
  readonly ws: string;
  readonly callControl: CallControl;
  stop(): Promise<void>;
}

interface CallSitesParts {
  /** Site a's and site b's; the same one twice when they share it. */
  readonly servers: Readonly<Record<SiteName, PostgresServer>>;
  readonly redis: RedisServer;
  readonly databases: Readonly<Record<SiteName, SiteDatabase>>;
  readonly ports: Readonly<Record<SiteName, readonly [udp: number, ws: number]>>;
  /** Empty for sites that know nothing of each other's rows. */
  readonly replicators: RunningReplicator[];
}

/** Databases of two sites, one Redis, and call-controls on them. */
export class CallSites {
  readonly #parts: CallSitesParts;
  /** Both sites' ring files; a site that runs again finds what it left. */
  readonly #rings = ringDirectory();
  readonly #running = new Set<RunningSite>();
  readonly #phones = new Set<SipPhone>();

  private constructor(parts: CallSitesParts) {
    this.#parts = parts;
  }

  /** Two databases in one PostgreSQL, these terminals in both, and no replication. */
  static async start(terminals: readonly NewTerminal[]): Promise<CallSites> {
    const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
    const [a, b] = [await openSite(postgres, 'a'), await openSite(postgres, 'b')];
    await Promise.all([provision(a, terminals), provision(b, terminals)]);
    return new CallSites({
      servers: { a: postgres, b: postgres },
      redis,
      databases: { a, b },
      ports: await sipPorts(),
      replicators: [],
    });
  }

  /** A PostgreSQL cluster for each site, and each site's replicator streaming from the other; b perhaps of a version before. */
  static async startReplicated(migrationsOfB?: readonly Migration[]): Promise<CallSites> {
    const [first, second, redis] = await Promise.all([startPostgres(), startPostgres(), startRedis()]);
    const [a, b] = await Promise.all([openSite(first, 'a'), openSite(second, 'b', migrationsOfB)]);
    const replicators = [startReplicator(a, { b: b.replicator }), startReplicator(b, { a: a.replicator })];
    await Promise.all(replicators.map((one) => untilStreaming(one)));
    return new CallSites({
      servers: { a: first, b: second },
      redis,
      databases: { a, b },
      ports: await sipPorts(),
      replicators,
    });
  }

  /** Site a's PostgreSQL, and site b's unless the sites replicate. */
  get postgres(): PostgresServer {
    return this.#parts.servers.a;
  }

  serverOf(name: SiteName): PostgresServer {
    return this.#parts.servers[name];
  }

  get redis(): RedisServer {
    return this.#parts.redis;
  }

  get databases(): CallSitesParts['databases'] {
    return this.#parts.databases;
  }

  get replicates(): boolean {
    return this.#parts.replicators.length > 0;
  }

  /** Ends b's replicator and starts it again. */
  async restartReplicator(): Promise<void> {
    const { databases, replicators } = this.#parts;
    await replicators[1]?.replicator.stop();
    replicators[1] = startReplicator(databases.b, { a: databases.a.replicator });
    await untilStreaming(replicators[1]);
  }

  /** The site's configuration as YAML. */
  yaml(name: SiteName, overrides: Overrides = {}): string {
    const peer = name === 'a' ? 'b' : 'a';
    const [port, ws] = this.#parts.ports[name];
    const sections: Record<string, unknown> = {
      site: name,
      domain: DOMAIN,
      postgres: { url: this.databases[name].app },
      redis: { url: this.redis.url },
      journal: { ringDirectory: this.#rings },
      sip: {
        udp: `127.0.0.1:${port}`,
        tcp: `127.0.0.1:${port}`,
        ws: `127.0.0.1:${ws}`,
        drainSeconds: 1,
        siteKey: SITE_KEY,
      },
      peers: { [peer]: { sip: `sip:127.0.0.1:${this.#parts.ports[peer][0]}` } },
      log: { level: 'error' },
    };
    for (const [section, values] of Object.entries(overrides))
      sections[section] = { ...(sections[section] as object | undefined), ...values };
    return stringify(sections);
  }

  /** SIP URI of the site's UDP listener, whether it runs or not. */
  udp(name: SiteName): string {
    return `sip:127.0.0.1:${this.#parts.ports[name][0]}`;
  }

  async run(name: SiteName, overrides: Overrides = {}): Promise<RunningSite> {
    const config = parseConfig(this.yaml(name, overrides), {});
    const callControl = new CallControl({
      config,
      log: pino({ level: process.env['CALL_LOG'] ?? 'silent' }),
    });
    const abort = new AbortController();
    const parts = callControl.parts;
    for (const part of parts) await part.start?.(abort.signal);
    const uri = (transport: string): string => {
      const listener = callControl.listeners.find((each) => each.transport === transport);
      return `${listener?.sentBy}`;
    };
    const site: RunningSite = {
      name,
      database: this.databases[name],
      udp: `sip:${uri('udp')}`,
      tcp: `sip:${uri('tcp')};transport=tcp`,
      ws: `ws://${uri('ws')}`,
      callControl,
      stop: async () => {
        if (!this.#running.delete(site)) return;
        abort.abort();
        for (const part of parts.toReversed()) await part.stop?.();
      },
    };
    this.#running.add(site);
    return site;
  }

  /** A phone that stops with the sites. */
  async phone(
    site: Pick<RunningSite, 'udp'>,
    username: string,
    options: Partial<PhoneOptions> = {},
  ): Promise<SipPhone> {
    const phone = await SipPhone.start({
      server: site.udp,
      username,
      password: passwordOf(username),
      ...options,
    });
    this.#phones.add(phone);
    return phone;
  }

  async registered(
    site: Pick<RunningSite, 'udp'>,
    username: string,
    options: Partial<PhoneOptions> = {},
  ): Promise<SipPhone> {
    const phone = await this.phone(site, username, options);
    const response = await phone.register().final();
    if (response.status !== 200) throw new Error(`registration of ${username}: ${response.status}`);
    return phone;
  }

  /** Unregisters and stops every phone, so that no registration of one test is left for the next. */
  async stopPhones(): Promise<void> {
    const phones = [...this.#phones];
    this.#phones.clear();
    await Promise.all(
      phones.map(async (phone) => {
        if (phone.isRegistered) await phone.unregister();
        await phone.stop();
      }),
    );
  }

  async stop(): Promise<void> {
    await this.stopPhones();
    for (const site of [...this.#running]) await site.stop();
    const { redis, replicators, servers } = this.#parts;
    await Promise.all(replicators.map(({ replicator }) => replicator.stop()));
    const clusters = [...new Set(Object.values(servers))];
    await Promise.all([...clusters.map((server) => server.remove()), redis.remove()]);
  }
}

async function openSite(
  postgres: PostgresServer,
  name: SiteName,
  migrations?: readonly Migration[],
): Promise<SiteDatabase> {
  const database = `site_${name}`;
  await postgres.createDatabase(database);
  const url = (user?: string, password?: string) => postgres.url(database, user, password);
  return makeSite(name, [name === 'a' ? 'b' : 'a'], url, migrations);
}

async function sipPorts(): Promise<CallSitesParts['ports']> {
  return { a: [await freePort(), await freePort()], b: [await freePort(), await freePort()] };
}
