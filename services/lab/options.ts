import { isIP } from 'node:net';
import { parseArgs } from 'node:util';

/** Where a site's PostgreSQL comes from: the npm package, the system's packages, or servers that run already. */
export type PostgresSource =
  | { readonly kind: 'embedded' }
  | { readonly kind: 'system' }
  | { readonly kind: 'urls'; readonly urls: readonly string[] };

export type LabOptions = {
  readonly portOffset: number;
  /** As given, relative to the current folder. */
  readonly data: string;
  readonly terminals: number;
  readonly sites: number;
  /** The address that SIP and REST listen on; the databases stay on loopback. */
  readonly listen: string;
  readonly postgres: PostgresSource;
  readonly highAvailability: boolean;
};

/** A site's server or service, such as `postgres` of site `b`; `null` is the whole site. */
export type PartName = { readonly site: string; readonly part: string | null };

export type LabCommand =
  | { readonly do: 'help' }
  | { readonly do: 'run'; readonly options: LabOptions }
  | { readonly do: 'detach'; readonly options: LabOptions }
  | { readonly do: 'stop'; readonly data: string }
  | { readonly do: 'halt' | 'revive'; readonly data: string; readonly part: PartName };

/** The command line is wrong: exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = `Usage: npm start -- [options]

Runs complete Lastcall sites on this machine until Ctrl-C.

  --port-offset N      adds N to every port (0 to 9000, default 0)
  --data DIR           where databases, configuration and logs are kept (default .lab)
  --sites N            how many sites, named a, b, c ... (2 to 5, default 2)
  --terminals N        demo terminals, numbered from 1001 (1 to 100000, default 5)
  --listen ADDRESS     where SIP and REST listen (default 127.0.0.1)
  --pg embedded        PostgreSQL from the npm package (default)
  --pg system          PostgreSQL installed on this machine, in data folders of its own
  --pg URL,URL         running servers, one superuser URL with a database for each site
  --ha                 gives site a a streaming standby under repmgr (needs system PostgreSQL)
  --detach             returns when the lab is ready and leaves it running
  --stop               stops the lab that keeps its data in --data
  --halt PART          takes part of a running lab down: b.postgres, a.redis, or all of b
  --revive PART        starts it again
  --help
`;

const OPTIONS = {
  'port-offset': { type: 'string', default: '0' },
  data: { type: 'string', default: '.lab' },
  sites: { type: 'string', default: '2' },
  terminals: { type: 'string', default: '5' },
  listen: { type: 'string', default: '127.0.0.1' },
  pg: { type: 'string', default: 'embedded' },
  ha: { type: 'boolean', default: false },
  detach: { type: 'boolean', default: false },
  stop: { type: 'boolean', default: false },
  halt: { type: 'string' },
  revive: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

/** Throws {@link UsageError} naming the option and the expected form. */
export function parseCommandLine(args: readonly string[]): LabCommand {
  const values = parseValues(args);
  const { data } = values;
  if (values.help) return { do: 'help' };
  if (values.stop) return { do: 'stop', data };
  if (values.halt !== undefined) return { do: 'halt', data, part: partName('--halt', values.halt) };
  if (values.revive !== undefined) return { do: 'revive', data, part: partName('--revive', values.revive) };
  const sites = wholeNumber('--sites', values.sites, 2, 5);
  if (isIP(values.listen) === 0 || /^[0:.]+$/.test(values.listen))
    fail('--listen', 'the IP address that phones reach this machine at', values.listen);
  const options: LabOptions = {
    portOffset: wholeNumber('--port-offset', values['port-offset'], 0, 9000),
    data,
    terminals: wholeNumber('--terminals', values.terminals, 1, 100_000),
    sites,
    listen: values.listen,
    postgres: postgresSource(values.pg, sites),
    highAvailability: values.ha,
  };
  if (values.ha && options.postgres.kind === 'urls')
    throw new UsageError('--ha makes its own servers: leave --pg URL,URL out');
  return { do: values.detach ? 'detach' : 'run', options };
}

function parseValues(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) fail(option, `a whole number from ${least} to ${most}`, text);
  return value;
}

function postgresSource(text: string, sites: number): PostgresSource {
  if (text === 'embedded' || text === 'system') return { kind: text };
  const urls = text.split(/,(?=postgres(?:ql)?:\/\/)/);
  if (!urls.every((url) => /^postgres(ql)?:\/\/[^/]+\/[^/]+$/.test(url)))
    fail(
      '--pg',
      'embedded, system, or postgres://user:password@host:port/database for each site',
      redact(text),
    );
  if (urls.length !== sites) throw new UsageError(`--pg names ${urls.length} databases for ${sites} sites`);
  return { kind: 'urls', urls };
}

function partName(option: string, text: string): PartName {
  const match = /^([a-z])(?:[.](.+))?$/.exec(text);
  if (!match) return fail(option, 'a site or one part of it, such as b or b.postgres', text);
  return { site: match[1] as string, part: match[2] ?? null };
}

const redact = (text: string): string => text.replace(/:[^:@/]*@/g, ':***@');

function fail(option: string, expected: string, found: string): never {
  throw new UsageError(`${option}: expected ${expected}, found ${JSON.stringify(found)}`);
}
