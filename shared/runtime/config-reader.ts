import {
  type Environment,
  entryNamesInEnvironment,
  environmentName,
  structureFromEnvironment,
} from './config-environment.ts';
import type { Field, Fields, ListOf, MapOf, Node } from './config-field.ts';
import { nearest } from './nearest.ts';

/** One thing wrong with a configuration. */
export interface ConfigFault {
  /** `postgres.url`, or the file for a fault of the file itself. */
  readonly path: string;
  /** What is wrong and what was expected. */
  readonly fault: string;
}

type Path = readonly string[];

/** Reads raw YAML values by a schema; the environment wins. Goes on after a fault, so that all are found at once. */
export class ConfigReader {
  readonly faults: ConfigFault[] = [];
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  read(node: Node, raw: unknown, path: Path = []): unknown {
    switch (node.kind) {
      case 'field':
        return this.#readField(node, raw, path);
      case 'section':
        return this.#readFields(node.fields, raw, path);
      case 'map':
        return this.#readMap(node, raw, path);
      case 'list':
        return this.#readList(node, raw, path);
    }
  }

  #readFields(fields: Fields, raw: unknown, path: Path): unknown {
    const given = raw ?? {};
    if (!isObject(given)) {
      this.#fault(path, `expected keys and values, found ${kindOf(raw)}`);
      return {};
    }
    for (const key of Object.keys(given)) {
      if (Object.hasOwn(fields, key)) continue;
      const meant = nearest(key, Object.keys(fields));
      this.#fault(
        [...path, key],
        `unknown key; ${meant ? `did you mean ${meant}?` : `known here: ${Object.keys(fields).join(', ')}`}`,
      );
    }
    const values = Object.entries(fields).map(([key, node]) => [
      key,
      this.read(node, given[key], [...path, key]),
    ]);
    return Object.freeze(Object.fromEntries(values));
  }

  #readField(field: Field<unknown>, raw: unknown, path: Path): unknown {
    const fromEnvironment = this.#env[environmentName(path)];
    const given = fromEnvironment ?? raw;
    if (given === undefined || (given === null && field.fallback !== null)) {
      if (field.fallback !== null) return field.fallback.value;
      this.#fault(path, `missing; expected ${field.expected} (${field.description})`);
      return undefined;
    }
    const read = field.read(given);
    if ('value' in read) return read.value;
    const found = field.secret ? 'something else' : describe(given);
    const where = fromEnvironment === undefined ? '' : ` in ${environmentName(path)}`;
    this.#fault(path, `expected ${read.fault}, found ${found}${where}`);
    return undefined;
  }

  #readMap(node: MapOf, raw: unknown, path: Path): unknown {
    const given = structureFromEnvironment(path, this.#env) ?? raw ?? {};
    if (!isObject(given)) {
      this.#fault(path, `expected entries by name, found ${kindOf(given)}`);
      return {};
    }
    const names = new Set([...Object.keys(given), ...entryNamesInEnvironment(node, path, this.#env)]);
    const entries = [...names].map((name) => {
      if (!node.key.accepts(name)) this.#fault([...path, name], `expected as name ${node.key.expected}`);
      return [name, this.#readFields(node.entry, given[name], [...path, name])];
    });
    return Object.freeze(Object.fromEntries(entries));
  }

  #readList(node: ListOf, raw: unknown, path: Path): unknown {
    const given = structureFromEnvironment(path, this.#env) ?? raw ?? [];
    if (!Array.isArray(given)) {
      this.#fault(path, `expected a list, found ${kindOf(given)}`);
      return [];
    }
    return Object.freeze(
      given.map((entry, index) => this.#readFields(node.entry, entry, [...path, String(index)])),
    );
  }

  #fault(path: Path, fault: string): void {
    this.faults.push({ path: path.join('.') || 'configuration', fault });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Where a structure was expected the value may be a secret that slipped a level up: only its kind is shown. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'string'
    ? 'a text'
    : typeof value === 'object'
      ? 'keys and values'
      : `a ${typeof value}`;
}

function describe(value: unknown): string {
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
}
