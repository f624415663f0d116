import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import type { Field, Fields, ListOf, MapOf, Node } from './config-field.ts';
import { CONFIG_SCHEMA, type Config } from './config-schema.ts';

export type { Config } from './config-schema.ts';

/** One thing wrong with a configuration. */
export interface ConfigFault {
  /** `postgres.url`, or the file for a fault of the file itself. */
  readonly path: string;
  /** What is wrong and what was expected. */
  readonly fault: string;
}

/** Every fault of a configuration at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super(`configuration: ${faults.map(({ path, fault }) => `${path}: ${fault}`).join('; ')}`);
    this.faults = faults;
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigSource {
  /** YAML file; absent: LASTCALL_CONFIG, or the environment alone. */
  readonly file?: string | undefined;
  readonly env?: Environment;
}

/** The frozen configuration. Throws {@link ConfigError} with all faults together. */
export function loadConfig({ file, env = process.env }: ConfigSource): Config {
  const path = configPath(file, env);
  return parseConfig(path === undefined ? '' : readConfigFile(path), env, path);
}

/** The file that {@link loadConfig} reads, if any. */
export function configPath(file: string | undefined, env: Environment = process.env): string | undefined {
  return file ?? env['LASTCALL_CONFIG'];
}

export function parseConfig(yaml: string, env: Environment = {}, file = 'configuration'): Config {
  const faults: ConfigFault[] = [];
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines, prettyErrors: false });
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0]);
    faults.push({ path: `${file}:${line}:${col}`, fault: error.message });
  }
  if (faults.length > 0) throw new ConfigError(faults);
  const value = readNode(CONFIG_SCHEMA, document.toJS() ?? {}, [], env, faults);
  if (faults.length > 0) throw new ConfigError(faults);
  return value as Config;
}

function readConfigFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : String(cause);
    throw new ConfigError([
      { path, fault: `${reason}; name the site's YAML file with --config or LASTCALL_CONFIG` },
    ]);
  }
}

/** `postgres.url` is LASTCALL_POSTGRES_URL; `sip.maxContacts` is LASTCALL_SIP_MAX_CONTACTS. */
export function environmentName(path: readonly string[]): string {
  return ['LASTCALL', ...path.map((part) => part.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase())].join(
    '_',
  );
}

type Path = readonly string[];

function readNode(node: Node, raw: unknown, path: Path, env: Environment, faults: ConfigFault[]): unknown {
  switch (node.kind) {
    case 'field':
      return readField(node, raw, path, env, faults);
    case 'section':
      return readFields(node.fields, raw, path, env, faults);
    case 'map':
      return readMap(node, raw, path, env, faults);
    case 'list':
      return readList(node, raw, path, env, faults);
  }
}

function readFields(
  fields: Fields,
  raw: unknown,
  path: Path,
  env: Environment,
  faults: ConfigFault[],
): unknown {
  const given = raw ?? {};
  if (!isObject(given)) {
    faults.push({
      path: path.join('.') || 'configuration',
      fault: `expected keys and values, found ${describe(raw)}`,
    });
    return {};
  }
  for (const key of Object.keys(given)) {
    if (!(key in fields))
      faults.push({
        path: [...path, key].join('.'),
        fault: `unknown key${suggestion(key, Object.keys(fields))}`,
      });
  }
  const values = Object.entries(fields).map(([key, node]) => [
    key,
    readNode(node, given[key], [...path, key], env, faults),
  ]);
  return Object.freeze(Object.fromEntries(values));
}

function readField(
  field: Field<unknown>,
  raw: unknown,
  path: Path,
  env: Environment,
  faults: ConfigFault[],
): unknown {
  const fromEnvironment = env[environmentName(path)];
  const given = fromEnvironment ?? raw;
  if (given === undefined || (given === null && field.fallback !== null)) {
    if (field.fallback !== null) return field.fallback.value;
    faults.push({
      path: path.join('.'),
      fault: `missing; expected ${field.expected} (${field.description})`,
    });
    return undefined;
  }
  const read = field.read(given);
  if ('value' in read) return read.value;
  const found = field.secret ? 'something else' : describe(given);
  const where = fromEnvironment === undefined ? '' : ` in ${environmentName(path)}`;
  faults.push({ path: path.join('.'), fault: `expected ${read.fault}, found ${found}${where}` });
  return undefined;
}

function readMap(node: MapOf, raw: unknown, path: Path, env: Environment, faults: ConfigFault[]): unknown {
  const given = raw ?? {};
  if (!isObject(given)) {
    faults.push({ path: path.join('.'), fault: `expected entries by name, found ${describe(raw)}` });
    return {};
  }
  const entries = Object.entries(given).map(([key, value]) => {
    if (!node.keyPattern.test(key))
      faults.push({ path: [...path, key].join('.'), fault: `the name must match ${node.keyPattern.source}` });
    return [key, readFields(node.entry, value, [...path, key], env, faults)];
  });
  return Object.freeze(Object.fromEntries(entries));
}

function readList(node: ListOf, raw: unknown, path: Path, env: Environment, faults: ConfigFault[]): unknown {
  const given = raw ?? [];
  if (!Array.isArray(given)) {
    faults.push({ path: path.join('.'), fault: `expected a list, found ${describe(raw)}` });
    return [];
  }
  return Object.freeze(
    given.map((entry, index) => readFields(node.entry, entry, [...path, String(index)], env, faults)),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
}

function suggestion(key: string, known: readonly string[]): string {
  const near = known.find((name) => distance(key.toLowerCase(), name.toLowerCase()) <= 2);
  return near ? `; did you mean ${near}?` : `; known here: ${known.join(', ')}`;
}

/** Levenshtein's edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
