import { environmentName } from './config-environment.ts';
import type { Fields, Node } from './config-field.ts';
import { CONFIG_SCHEMA } from './config-schema.ts';

/** Every key with its meaning, form, default and environment variable, one line each: `--help` and the docs. */
export function describeConfig(): string[] {
  return describeFields(CONFIG_SCHEMA.fields, []);
}

function describeFields(fields: Fields, path: readonly string[]): string[] {
  return Object.entries(fields).flatMap(([key, node]) => describeNode(node, [...path, key]));
}

function describeNode(node: Node, path: readonly string[]): string[] {
  switch (node.kind) {
    case 'section':
      return describeFields(node.fields, path);
    case 'map':
      return describeFields(node.entry, [...path, '<name>']);
    case 'list':
      return describeFields(node.entry, [...path, '<n>']);
    case 'field': {
      const preset = node.fallback === null ? 'required' : `default ${JSON.stringify(node.fallback.value)}`;
      return [
        `${path.join('.')}: ${node.description}; ${node.expected}; ${preset}; ${environmentName(path)}`,
      ];
    }
  }
}
