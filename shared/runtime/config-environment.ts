import type { Fields, MapOf, Node } from './config-field.ts';
import { nearest } from './nearest.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
type Path = readonly string[];

/** Variables that are no configuration keys: the file itself, and where the command line finds the API. */
const OTHERS = ['LASTCALL_CONFIG', 'LASTCALL_API', 'LASTCALL_TOKEN'];

/** `postgres.url` is LASTCALL_POSTGRES_URL; `sip.maxContacts` is LASTCALL_SIP_MAX_CONTACTS. */
export function environmentName(path: Path): string {
  return ['LASTCALL', ...path.map((part) => part.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase())].join(
    '_',
  );
}

/** A list or map given whole, as JSON; undefined without the variable, the bare text when it is no JSON. */
export function structureFromEnvironment(path: Path, env: Environment): unknown {
  const text = env[environmentName(path)];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** Names of map entries that only the environment knows: LASTCALL_PEERS_B_SIP makes the peer `b`. */
export function entryNamesInEnvironment(node: MapOf, path: Path, env: Environment): string[] {
  const prefix = `${environmentName(path)}_`;
  const endings = Object.keys(node.entry).map((key) => environmentName([key]).slice('LASTCALL'.length));
  return Object.keys(env).flatMap((name) => {
    const ending = endings.find((end) => name.endsWith(end) && name.length > prefix.length + end.length);
    return name.startsWith(prefix) && ending ? [name.slice(prefix.length, -ending.length).toLowerCase()] : [];
  });
}

/** Variables that look like a key mistyped, with the name that was probably meant. Others under the prefix are nobody's fault. */
export function mistypedVariables(
  fields: Fields,
  env: Environment,
): readonly { readonly name: string; readonly meant: string }[] {
  const known = new Set([...OTHERS, ...namesOf(fields, [])]);
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith('LASTCALL_') || known.has(name)) return [];
    const meant = nearest(name, known);
    return meant === undefined ? [] : [{ name, meant }];
  });
}

function namesOf(fields: Fields, path: Path): string[] {
  return Object.entries(fields).flatMap(([key, node]: [string, Node]) =>
    node.kind === 'section' ? namesOf(node.fields, [...path, key]) : [environmentName([...path, key])],
  );
}
