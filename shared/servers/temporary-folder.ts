import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * This user's own folder below the system's temporary one, traversable by the unprivileged user the databases run as.
 * Throws when somebody else made it first: what stands in it is executed.
 */
export function privateTemporaryFolder(): string {
  const uid = process.getuid?.() ?? 0;
  const folder = join(tmpdir(), `lastcall-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const stat = lstatSync(folder);
  if (!stat.isDirectory() || stat.uid !== uid)
    throw new Error(`${folder} belongs to another user; remove it`);
  return folder;
}
