import { readFileSync } from 'node:fs';
import { LastcallError } from '../../shared/domain/errors.ts';
import { Database } from '../../shared/postgres/database.ts';
import { findPrimary } from '../../shared/postgres/find-primary.ts';
import type { Config } from '../../shared/runtime/config.ts';
import { formatHostPort, type HostPort } from '../../shared/runtime/config-field.ts';
import { ApiClient } from './api-client.ts';
import { type FoundConfig, findConfig } from './find-config.ts';
import type { Input } from './input.ts';
import type { Terminal } from './terminal.ts';

export const GLOBAL_OPTIONS = [
  { flags: '--config <file>', description: "the site's configuration (or LASTCALL_CONFIG)" },
  { flags: '--site <site>', description: 'without --config: which site of the running lab (default: a)' },
  { flags: '--lab <folder>', description: "without --config: the lab's folder (default: .lab)" },
  {
    flags: '--api <url>',
    description: 'the REST API, when it is not where the configuration says (or LASTCALL_API)',
  },
  { flags: '--token <token>', description: 'the token for it (or LASTCALL_TOKEN)' },
  { flags: '--json', description: 'print JSON' },
] as const;

export type DatabaseRole = 'app' | 'coordinator' | 'owner';

/** What a command may reach. Everything is opened when first asked for and closed at the end. */
export interface Context {
  readonly env: Terminal['env'];
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** For what goes on printing; a single result is returned instead. */
  out(text: string): void;
  /** A question, on standard error. */
  err(text: string): void;
  readonly stdin: Terminal['stdin'];
  config(): FoundConfig;
  /** This site's database; throws the catalogue error at once when no primary answers. */
  database(role?: DatabaseRole): Promise<Database>;
  /** A peer's database as lastcall_coordinator. Throws SITE_UNKNOWN. */
  peerDatabase(site: string): Promise<Database>;
  api(): ApiClient;
  /** True when the API has made a change in this run. */
  changedOverApi(): boolean;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 3_000;

export function openContext(input: Input, terminal: Terminal): Context {
  const opened = new Map<string, Promise<Database>>();
  const clients: ApiClient[] = [];
  let found: FoundConfig | null = null;
  const config = () => {
    found ??= findConfig({
      file: input.maybeText('config'),
      lab: input.maybeText('lab'),
      site: input.maybeText('site'),
      env: terminal.env,
      cwd: terminal.cwd,
    });
    return found;
  };
  const open = (url: string) => {
    const database = opened.get(url) ?? connect(url);
    opened.set(url, database);
    return database;
  };
  return {
    env: terminal.env,
    cwd: terminal.cwd,
    outIsTerminal: terminal.outIsTerminal ?? false,
    errIsTerminal: terminal.errIsTerminal ?? false,
    signal: terminal.signal,
    out: (text) => terminal.out(text),
    err: (text) => terminal.err(text),
    stdin: terminal.stdin,
    config,
    database: (role = 'app') => open(ownUrl(config().config, role)),
    peerDatabase: (site) => open(peerUrl(config().config, site)),
    api: () => {
      const client = apiOf(input, terminal, config);
      clients.push(client);
      return client;
    },
    changedOverApi: () => clients.some((client) => client.hasChanged),
    close: async () => {
      const databases = await Promise.allSettled(opened.values());
      await Promise.all(databases.map((entry) => entry.status === 'fulfilled' && entry.value.close()));
    },
  };
}

async function connect(url: string): Promise<Database> {
  await findPrimary(url, CONNECT_TIMEOUT_MS);
  // All hosts of it: what watches goes on after a failover.
  const database = new Database({ url, applicationName: 'lastcall-cli', maxConnections: 2 });
  await database.start();
  return database;
}

function ownUrl(config: Config, role: DatabaseRole): string {
  const { url, coordinatorUrl, ownerUrl } = config.postgres;
  const chosen = { app: url, coordinator: coordinatorUrl, owner: ownerUrl }[role];
  if (chosen) return chosen;
  const key = role === 'owner' ? 'postgres.ownerUrl' : 'postgres.coordinatorUrl';
  throw new LastcallError('INVALID_VALUE', {
    details: { message: `this command needs ${key} in the configuration` },
  });
}

function peerUrl(config: Config, site: string): string {
  const peer = config.peers[site];
  const url = peer?.coordinatorUrl ?? peer?.replicatorUrl;
  if (url) return url;
  if (peer)
    throw new LastcallError('INVALID_VALUE', {
      details: { message: `this needs peers.${site}.coordinatorUrl` },
    });
  throw new LastcallError('SITE_UNKNOWN', {
    details: { site, configured: [config.site, ...Object.keys(config.peers)] },
  });
}

/** With --api or LASTCALL_API no configuration is needed: a hook on a database host has none. */
function apiOf(input: Input, terminal: Terminal, config: () => FoundConfig): ApiClient {
  const url = input.maybeText('api') ?? terminal.env['LASTCALL_API'];
  const token = input.maybeText('token') ?? terminal.env['LASTCALL_TOKEN'];
  if (url && token) return new ApiClient(url, token);
  const api = config().config.api;
  const admin = api.tokens.find((entry) => entry.role === 'admin');
  const ca = api.certificate === null ? null : readFileSync(api.certificate, 'utf8');
  return new ApiClient(url ?? apiUrl(config().config), token ?? admin?.token ?? '', ca);
}

/** This site's API as it is reached from this machine. */
export function apiUrl({ api }: Config): string {
  return `${api.certificate === null ? 'http' : 'https'}://${reachable(api.listen)}`;
}

/** Where a listener on every address is reached from this machine. */
function reachable({ host, port }: HostPort): string {
  return formatHostPort({ host: host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host, port });
}
