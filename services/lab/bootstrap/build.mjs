import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Obstacle, ROOT } from './root.mjs';
import { run } from './run.mjs';

const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');

/** Compiles a project into dist/ unless no source has changed since. */
export function build(project, folders) {
  return unlessBuilt(project, ['tsconfig.json', project], folders, [TSC, '-p', project]);
}

/** Puts the console's page together unless no source of it has changed since. */
export function buildConsole() {
  const program = 'services/console/build.mjs';
  return unlessBuilt('console', ['package-lock.json'], ['services/console', 'shared/domain'], [program]);
}

async function unlessBuilt(name, files, folders, program) {
  const stamp = join(ROOT, 'dist', `.built-${name.replaceAll(/[^a-z]+/g, '-')}`);
  const wanted = fingerprint(files, folders);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.log(`Compiling ${name === 'console' ? 'the console ' : ''}...`);
  const status = await run(process.execPath, program);
  if (status !== 0) throw new Obstacle('The sources do not compile; see the messages above.');
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  writeFileSync(stamp, wanted);
}

/** Names, sizes and times of the sources: reading them all would cost more than it saves. */
function fingerprint(files, folders) {
  const sources = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(tsx?|mjs|css|html|svg)$/.test(name))
      .map((name) => join(folder, name)),
  );
  const hash = createHash('sha256');
  for (const file of [...files, ...sources.sort()]) {
    const { size, mtimeMs } = statSync(join(ROOT, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}
