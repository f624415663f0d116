import { type Fields, formatHostPort, type Node } from './config-field.ts';
import { CONFIG_SCHEMA, type Config } from './config-schema.ts';

/** A configuration as plain data for `config show`: every key with its value in force, secrets hidden. */
export function redactConfig(config: Config): unknown {
  return show(CONFIG_SCHEMA, config);
}

function show(node: Node, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  switch (node.kind) {
    case 'field':
      if (node.secret) return Array.isArray(value) ? value.map(hide) : hide(value);
      return isHostPort(value) ? formatHostPort(value) : value;
    case 'section':
      return showFields(node.fields, value);
    case 'map':
      return Object.fromEntries(
        Object.entries(value).map(([key, entry]) => [key, showFields(node.entry, entry)]),
      );
    case 'list':
      return (value as unknown[]).map((entry) => showFields(node.entry, entry));
  }
}

function showFields(fields: Fields, value: unknown): unknown {
  const values = value as Record<string, unknown>;
  return Object.fromEntries(Object.entries(fields).map(([key, node]) => [key, show(node, values[key])]));
}

/** URLs keep everything but their password; other secrets keep nothing. */
function hide(value: unknown): string {
  const masked = String(value)
    .replace(/^([a-z+]+:\/\/[^:@/]*:)[^@]*@/i, '$1***@')
    .replace(/(sentinelPassword=)[^&]*/i, '$1***');
  return /^[a-z+]+:\/\//i.test(masked) ? masked : '***';
}

function isHostPort(value: unknown): value is { host: string; port: number } {
  return typeof value === 'object' && value !== null && 'host' in value && 'port' in value;
}
