import { existsSync } from 'node:fs';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unprivilegedUser } from '../../shared/servers/server-user.ts';

/**
 * Makes a lab's folder closed to others: it holds passwords. As root, PostgreSQL's user may pass through it and no more. A
 * folder that is there and is no lab's keeps its mode: it may be anybody's.
 */
export async function makePrivateFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true });
  if (made === undefined && !existsSync(join(folder, 'secrets.json'))) return;
  const user = unprivilegedUser();
  if (user !== null) await chown(folder, 0, user.gid);
  await chmod(folder, user === null ? 0o700 : 0o710);
}
