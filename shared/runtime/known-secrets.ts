import type { Fields, Node } from './config-field.ts';
import type { ConfigFault } from './config-reader.ts';
import { CONFIG_SCHEMA, type Config } from './config-schema.ts';

/** What examples, images and hurried people use, and everybody who guesses tries first. */
const KNOWN =
  /^((app|replicator|coordinator|peer|redis|owner)_password|admin_token|change[-_]?(me|it|this)\b.*|password|passwort|secret|admin|root|postgres|lastcall(_\w+)?|redis|default|example|foobared|1234\d*)$/i;

/** Secrets of the configuration that are no secrets. */
export function knownSecrets(config: Config): ConfigFault[] {
  return secretsIn(CONFIG_SCHEMA, config, '')
    .filter(({ value }) => KNOWN.test(value))
    .map(({ path }) => ({
      path,
      fault: 'found a password that everybody knows; make one with `openssl rand -hex 24`',
    }));
}

interface Secret {
  readonly path: string;
  readonly value: string;
}

function secretsIn(node: Node, value: unknown, path: string): Secret[] {
  if (value === null || value === undefined) return [];
  switch (node.kind) {
    case 'field':
      return node.secret ? [value].flat().map((one) => ({ path, value: secretPart(String(one)) })) : [];
    case 'section':
      return inFields(node.fields, value, path);
    case 'map':
      return Object.entries(value).flatMap(([key, entry]) => inFields(node.entry, entry, joined(path, key)));
    case 'list':
      return (value as unknown[]).flatMap((entry, index) =>
        inFields(node.entry, entry, joined(path, String(index))),
      );
  }
}

function inFields(fields: Fields, value: unknown, path: string): Secret[] {
  const values = value as Record<string, unknown>;
  return Object.entries(fields).flatMap(([key, node]) => secretsIn(node, values[key], joined(path, key)));
}

const joined = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

/** The password of a URL; any other secret is one as a whole. */
function secretPart(text: string): string {
  if (!/^[a-z+]+:\/\//i.test(text)) return text;
  const password = /^[a-z+]+:\/\/[^:@/]*:([^@]*)@/i.exec(text)?.[1] ?? '';
  try {
    return decodeURIComponent(password);
  } catch {
    return password;
  }
}
