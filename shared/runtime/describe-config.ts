import { environmentName } from './config-environment.ts';
import { type Fields, formatHostPort, type HostPort, type Node } from './config-field.ts';
import { CONFIG_SCHEMA } from './config-schema.ts';

/** One configuration key, as the documents show it. */
export interface ConfigKey {
  /** `sip.maxContacts`; `<name>` and `<n>` stand for what the operator chooses. */
  readonly path: string;
  readonly description: string;
  /** The accepted form with its range and unit. */
  readonly expected: string;
  /** As text; null when the key is required. */
  readonly preset: string | null;
  readonly environment: string;
}

export interface ConfigChapter {
  readonly title: string;
  readonly description: string;
  readonly keys: readonly ConfigKey[];
}

/** Every key by its section, those of the top level first. */
export function describeConfig(): readonly ConfigChapter[] {
  const entries = Object.entries(CONFIG_SCHEMA.fields) as [string, Node][];
  const top = entries.filter(([, node]) => node.kind === 'field');
  return [
    {
      title: 'The site',
      description: CONFIG_SCHEMA.description,
      keys: top.flatMap(([key, node]) => keysOf(node, [key])),
    },
    ...entries
      .filter(([, node]) => node.kind !== 'field')
      .map(([key, node]) => ({ title: key, description: node.description, keys: keysOf(node, [key]) })),
  ];
}

function keysOf(node: Node, path: readonly string[]): readonly ConfigKey[] {
  switch (node.kind) {
    case 'section':
      return inside(node.fields, path);
    case 'map':
      return inside(node.entry, [...path, '<name>']);
    case 'list':
      return inside(node.entry, [...path, '<n>']);
    case 'field':
      return [
        {
          path: path.join('.'),
          description: node.description,
          expected: node.expected,
          preset: node.fallback === null ? null : presetText(node.fallback.value),
          environment: environmentName(path),
        },
      ];
  }
}

const inside = (fields: Fields, path: readonly string[]): readonly ConfigKey[] =>
  Object.entries(fields).flatMap(([key, node]) => keysOf(node, [...path, key]));

function presetText(value: unknown): string {
  if (value === null) return 'none';
  return isHostPort(value) ? formatHostPort(value) : JSON.stringify(value);
}

const isHostPort = (value: unknown): value is HostPort =>
  typeof value === 'object' && value !== null && 'host' in value && 'port' in value;
