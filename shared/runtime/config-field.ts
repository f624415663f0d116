import { isIP } from 'node:net';
import { redisUrlParts } from '../domain/redis-url.ts';

/** What reading one value gives: the value, or why not. */
export type Read<T> = { readonly value: T } | { readonly fault: string };

/** One configuration key as data: feeds validation, `config show`, `--help` and the docs. */
export interface Field<T> {
  readonly kind: 'field';
  readonly description: string;
  /** The expected form, in words that complete "expected ...". */
  readonly expected: string;
  readonly read: (raw: unknown) => Read<T>;
  readonly fallback: { readonly value: T } | null;
  readonly secret: boolean;
}

export interface Section<F extends Fields = Fields> {
  readonly kind: 'section';
  readonly description: string;
  readonly fields: F;
}

/** Entries under keys that the operator chooses, such as the peers' site names. */
export interface MapOf<F extends Fields = Fields> {
  readonly kind: 'map';
  readonly description: string;
  readonly key: { readonly accepts: (name: string) => boolean; readonly expected: string };
  readonly entry: F;
}

export interface ListOf<F extends Fields = Fields> {
  readonly kind: 'list';
  readonly description: string;
  readonly entry: F;
}

// biome-ignore lint/suspicious/noExplicitAny: a schema node holds fields of every value type; inference narrows it again.
export type Node = Field<any> | Section<any> | MapOf<any> | ListOf<any>;
export type Fields = Readonly<Record<string, Node>>;

/** The typed configuration that a schema describes. */
export type ConfigOf<N> =
  N extends Field<infer T>
    ? T
    : N extends Section<infer F>
      ? { readonly [K in keyof F]: ConfigOf<F[K]> }
      : N extends MapOf<infer F>
        ? Readonly<Record<string, { readonly [K in keyof F]: ConfigOf<F[K]> }>>
        : N extends ListOf<infer F>
          ? readonly { readonly [K in keyof F]: ConfigOf<F[K]> }[]
          : never;

export const section = <F extends Fields>(description: string, fields: F): Section<F> => ({
  kind: 'section',
  description,
  fields,
});
export const mapOf = <F extends Fields>(description: string, key: MapOf['key'], entry: F): MapOf<F> => ({
  kind: 'map',
  description,
  key,
  entry,
});
export const listOf = <F extends Fields>(description: string, entry: F): ListOf<F> => ({
  kind: 'list',
  description,
  entry,
});

interface Basics<T> {
  readonly default?: T;
  readonly secret?: boolean;
}

function field<T>(
  description: string,
  expected: string,
  basics: Basics<T>,
  read: (raw: unknown) => T | undefined,
): Field<T> {
  return {
    kind: 'field',
    description,
    expected,
    read: (raw) => {
      const value = read(raw);
      return value === undefined ? { fault: expected } : { value };
    },
    fallback: 'default' in basics ? { value: basics.default as T } : null,
    secret: basics.secret ?? false,
  };
}

/** A key that may be absent: its value is then null. */
export function optional<T>(inner: Field<T>): Field<T | null> {
  return {
    ...inner,
    read: (raw) => (raw === null ? { value: null } : inner.read(raw)),
    fallback: { value: null },
  };
}

export function text(
  description: string,
  basics: Basics<string> & { pattern?: RegExp; accepts?: (value: string) => boolean; expected?: string } = {},
): Field<string> {
  const expected = basics.expected ?? (basics.pattern ? `text matching ${basics.pattern.source}` : 'text');
  return field(description, expected, basics, (raw) => {
    const value = typeof raw === 'number' ? String(raw) : raw;
    return typeof value === 'string' &&
      value !== '' &&
      (basics.pattern?.test(value) ?? true) &&
      (basics.accepts?.(value) ?? true)
      ? value
      : undefined;
  });
}

export function integer(
  description: string,
  range: Basics<number> & { min: number; max: number; unit?: string },
): Field<number> {
  const unit = range.unit ? ` ${range.unit}` : '';
  return field(description, `a whole number from ${range.min} to ${range.max}${unit}`, range, (raw) => {
    const value = typeof raw === 'string' && /^-?\d+$/.test(raw) ? Number(raw) : raw;
    return typeof value === 'number' && Number.isInteger(value) && value >= range.min && value <= range.max
      ? value
      : undefined;
  });
}

export function flag(description: string, basics: Basics<boolean>): Field<boolean> {
  return field(description, 'true or false', basics, (raw) => {
    if (typeof raw === 'boolean') return raw;
    return raw === 'true' ? true : raw === 'false' ? false : undefined;
  });
}

export function oneOf<const T extends string>(
  description: string,
  choices: readonly T[],
  basics: Basics<T>,
): Field<T> {
  return field(description, `one of ${choices.join(', ')}`, basics, (raw) =>
    choices.find((choice) => choice === raw),
  );
}

/** A list of texts; in the environment separated by commas. */
export function texts(
  description: string,
  basics: Basics<readonly string[]> & { pattern?: RegExp; expected?: string },
): Field<readonly string[]> {
  const expected = basics.expected ?? 'a list of texts';
  return field(description, expected, basics, (raw) => {
    const list = typeof raw === 'string' ? raw.split(',').filter((part) => part !== '') : raw;
    if (!Array.isArray(list)) return undefined;
    const parts = list.map((part) => (typeof part === 'number' ? String(part) : (part as unknown)));
    const good = parts.every(
      (part): part is string => typeof part === 'string' && (basics.pattern?.test(part) ?? part !== ''),
    );
    return good ? (parts as string[]) : undefined;
  });
}

/** Text by key, such as a feature by its star code; in the environment as JSON. */
export function textMap(
  description: string,
  basics: Basics<Readonly<Record<string, string>>> & {
    keyPattern?: RegExp;
    values?: readonly string[];
    expected: string;
  },
): Field<Readonly<Record<string, string>>> {
  return field(description, basics.expected, basics, (given) => {
    const raw = typeof given === 'string' ? parseJson(given) : given;
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return undefined;
    const entries = Object.entries(raw as Record<string, unknown>);
    const good = entries.every(
      ([key, value]) =>
        (basics.keyPattern?.test(key) ?? true) &&
        typeof value === 'string' &&
        (basics.values === undefined || basics.values.includes(value)),
    );
    return good ? (raw as Record<string, string>) : undefined;
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Addresses and networks in CIDR form; in the environment separated by commas. */
export function networks(description: string, basics: Basics<readonly string[]>): Field<readonly string[]> {
  const inner = texts(description, { ...basics, expected: 'a list of networks, such as 10.0.0.0/8 or ::1' });
  return {
    ...inner,
    read: (raw) => {
      const list = inner.read(raw);
      return 'value' in list && !list.value.every(isNetwork) ? { fault: inner.expected } : list;
    },
  };
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/** A host and port to listen on or to reach. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export function hostPort(description: string, basics: Basics<HostPort> = {}): Field<HostPort> {
  return field(description, 'host:port, such as 127.0.0.1:5060 or [::1]:5060', basics, (raw) =>
    typeof raw === 'string' ? parseHostPort(raw) : undefined,
  );
}

export function parseHostPort(raw: string): HostPort | undefined {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(raw);
  const port = Number(match?.[2]);
  if (!match?.[1] || port > 65535) return undefined;
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function postgresUrl(description: string): Field<string> {
  const form = 'postgres://user:password@host[:port][,host[:port]]/database';
  return field(description, form, { secret: true }, (raw) =>
    typeof raw === 'string' && isPostgresUrl(raw) ? raw : undefined,
  );
}

/** libpq's form with several hosts, which `URL` cannot read. */
function isPostgresUrl(text: string): boolean {
  const match = /^postgres(?:ql)?:\/\/(?:([^@/]*)@)?([^/?@\s]+)\/[^/?\s]+(?:\?\S*)?$/.exec(text);
  if (!match?.[2] || /%(?![0-9a-fA-F]{2})/.test(match[1] ?? '')) return false;
  return match[2].split(',').every((host) => {
    const port = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(host);
    return port !== null && (port[1] === undefined || (Number(port[1]) > 0 && Number(port[1]) <= 65535));
  });
}

export function redisUrl(description: string): Field<string> {
  return field(
    description,
    'redis://[user:password@]host[:port][/db], or redis+sentinel://[user:password@]host[:port],.../PRIMARY[/db] with the Sentinels, or redis+cluster://[user:password@]host[:port],... with nodes of a Cluster; rediss for TLS',
    { secret: true },
    (raw) => (typeof raw === 'string' && redisUrlParts(raw) !== null ? raw : undefined),
  );
}

export function webUrl(description: string): Field<string> {
  return field(description, 'an http:// or https:// URL', {}, (raw) =>
    typeof raw === 'string' && /^https?:\/\/\S+$/.test(raw) && URL.canParse(raw) ? raw : undefined,
  );
}
