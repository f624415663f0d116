import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LastcallError } from '../../shared/domain/errors.ts';
import { type Config, loadConfig } from '../../shared/runtime/config.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';

export interface WhereToLook {
  readonly file: string | null;
  /** The lab's data folder. */
  readonly lab: string | null;
  /** Which site of the lab. */
  readonly site: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

export interface FoundConfig {
  readonly config: Config;
  readonly file: string;
}

/** Where an installed site has its file. */
const INSTALLED = '/etc/lastcall/lastcall.yaml';

/**
 * The configuration a command works with: the file named, else LASTCALL_CONFIG, else that of a running lab's site, else
 * the installed one.
 * Throws `CONFIG_MISSING`, or the loader's error with every fault of the file.
 */
export function findConfig(where: WhereToLook): FoundConfig {
  const named = where.file ?? where.env['LASTCALL_CONFIG'];
  const file = named ? resolve(where.cwd, named) : unnamedConfig(where);
  return { file, config: loadConfig({ file, env: where.env }) };
}

/** `.lab/<site>.yaml`, in the folder we are in or in the package's; then the installed one. */
function unnamedConfig(where: WhereToLook): string {
  const folders = where.lab
    ? [resolve(where.cwd, where.lab)]
    : [join(where.cwd, '.lab'), join(packageRoot(), '.lab')];
  const site = where.site ?? 'a';
  for (const folder of folders) {
    const file = join(folder, `${site}.yaml`);
    if (existsSync(join(folder, 'endpoints.json')) && existsSync(file)) return file;
  }
  if (where.lab === null && where.site === null && existsSync(INSTALLED)) return INSTALLED;
  throw new LastcallError('CONFIG_MISSING', {
    details: { looked: [...folders.map((folder) => join(folder, `${site}.yaml`)), INSTALLED] },
  });
}
