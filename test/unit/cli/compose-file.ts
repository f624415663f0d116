import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../../shared/runtime/package-root.ts';

export const ROOT = packageRoot();

export interface ComposeService {
  readonly image: string;
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[] };
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const TEXT = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');

/** The variables that it refuses to start without, each with a value as an operator makes one. */
export const composeSecrets: Readonly<Record<string, string>> = Object.fromEntries(
  [...TEXT.matchAll(/\$\{(\w+):\?/g)].map(([, name = '']) => [
    name,
    `made-for-${name.toLowerCase()}-and-nobody-else`,
  ]),
);

/** docker-compose.yml: merges done, secrets filled in. */
export function readComposeFile(): ComposeFile {
  const text = TEXT.replace(/\$\{(\w+):\?[^}]*\}/g, (_, name: string) => composeSecrets[name] ?? '');
  return parse(text, { merge: true }) as ComposeFile;
}

/** Lastcall's own containers, by name. */
export function ownServices(file: ComposeFile): [string, ComposeService][] {
  return Object.entries(file.services).filter(([, service]) => service.image === 'lastcall');
}

/** A path inside a container as it is outside: what the image copies, or a mounted folder. */
export function outside(path: string, { volumes = [] }: ComposeService): string {
  for (const volume of volumes) {
    const [source = '', target = ''] = volume.split(':');
    if (source.startsWith('./') && path.startsWith(`${target}/`))
      return join(ROOT, source, path.slice(target.length));
  }
  return join(ROOT, path);
}

/** The words of the image's HEALTHCHECK. */
export function healthCheckCommand(): string[] {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const words = /^HEALTHCHECK [^[]*CMD (\[[^\n]*\])$/m.exec(dockerfile)?.[1];
  return JSON.parse(words ?? '[]') as string[];
}
