import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { runProgram } from './run-program.ts';
import { giveTo, type ServerUser, spawnAs } from './server-user.ts';
import { privateTemporaryFolder } from './temporary-folder.ts';

/** Values of postgresql.conf, written as they would stand there without quotes. */
export type PostgresSettings = Record<string, string | number>;

/** The password of `postgres` in clusters copied from the template: servers of tests, on loopback, for minutes. */
export const TEMPLATE_PASSWORD = 'lastcall-test';

const PG_HBA = `# Everybody proves a password, also for replication; only this machine reaches the server.
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
`;

/** Creates a cluster with the superuser `postgres`. Leaves nothing behind when it fails. */
export async function initialiseCluster(
  { binDir }: PostgresBinaries,
  user: ServerUser | null,
  dataDir: string,
  password: string,
): Promise<void> {
  await mkdir(dirname(dataDir), { recursive: true });
  const passwordFile = join(privateTemporaryFolder(), `password-${randomBytes(6).toString('hex')}`);
  await writeFile(passwordFile, password, { mode: 0o600 });
  await mkdir(dataDir, { mode: 0o700 });
  try {
    await giveTo(user, passwordFile);
    await giveTo(user, dataDir);
    const access = ['--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
    const content = ['--encoding=UTF8', '--no-locale', '--no-sync', '--no-instructions'];
    await runProgram(join(binDir, 'initdb'), [`--pgdata=${dataDir}`, ...access, ...content], spawnAs(user));
    await writeFile(join(dataDir, 'pg_hba.conf'), PG_HBA);
    await appendFile(join(dataDir, 'postgresql.conf'), "include_if_exists = 'lastcall.conf'\n");
  } catch (error) {
    await rm(dataDir, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(passwordFile);
  }
}

/** Creates a cluster as a copy of one made once for this version: a fifth of the time of initdb. */
export async function copyTemplateCluster(
  binaries: PostgresBinaries,
  user: ServerUser | null,
  dataDir: string,
): Promise<void> {
  const template = join(privateTemporaryFolder(), `template-${binaries.version}-${user?.name ?? 'self'}`);
  const cluster = join(template, 'data');
  if (!existsSync(cluster)) {
    const partial = await mkdtemp(`${template}.`);
    await giveTo(user, partial);
    await initialiseCluster(binaries, user, join(partial, 'data'), TEMPLATE_PASSWORD);
    await rename(partial, template).catch(() => rm(partial, { recursive: true }));
  }
  await mkdir(dirname(dataDir), { recursive: true });
  await mkdir(dataDir, { mode: 0o700 });
  await giveTo(user, dataDir);
  await runProgram('cp', ['-a', `${cluster}/.`, dataDir], spawnAs(user));
}

/** Writes the settings into the cluster's `lastcall.conf`, where also `pg_ctl` and a copied standby find them. */
export async function writeSettings(dataDir: string, settings: PostgresSettings): Promise<void> {
  const quote = (value: string | number): string => `'${String(value).replaceAll("'", "''")}'`;
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quote(value)}\n`);
  await writeFile(join(dataDir, 'lastcall.conf'), lines.join(''));
}
