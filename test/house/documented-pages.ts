import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../shared/runtime/package-root.ts';

/** Every document of the repository, those not yet committed included. */
export function readPages(): readonly { readonly path: string; readonly text: string }[] {
  return execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
    cwd: packageRoot(),
    encoding: 'utf8',
  })
    .trim()
    .split('\n')
    .filter((path) => existsSync(join(packageRoot(), path)))
    .map((path) => ({ path, text: readFileSync(join(packageRoot(), path), 'utf8') }));
}
