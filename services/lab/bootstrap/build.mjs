import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Obstacle, ROOT } from './root.mjs';
import { run } from './run.mjs';

/** Compiles a project into dist/ unless no source has changed since. */
export async function build(project, folders) {
  const stamp = join(ROOT, 'dist', `.built-${project.replaceAll(/[^a-z]+/g, '-')}`);
  const wanted = fingerprint(['tsconfig.json', project], folders);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.log('Compiling ...');
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const status = await run(process.execPath, [tsc, '-p', project]);
  if (status !== 0) throw new Obstacle('The sources do not compile; see the messages above.');
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  writeFileSync(stamp, wanted);
}

/** Names, sizes and times of the sources: reading them all would cost more than it saves. */
function fingerprint(files, folders) {
  const sources = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  );
  const hash = createHash('sha256');
  for (const file of [...files, ...sources.sort()]) {
    const { size, mtimeMs } = statSync(join(ROOT, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}
