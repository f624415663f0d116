import { readFileSync } from 'node:fs';
import { chown, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** The user a PostgreSQL server runs as. */
export type ServerUser = { name: string; uid: number; gid: number };

const CANDIDATES = ['postgres', 'nobody'];

/** PostgreSQL refuses to run as root: root starts it as `postgres` or `nobody`. `null`: run it as we are. */
export function unprivilegedUser(): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const candidate of CANDIDATES) {
    const account = accounts.find(([name]) => name === candidate);
    if (account) return { name: candidate, uid: Number(account[2]), gid: Number(account[3]) };
  }
  throw new Error(`running as root needs one of the users ${CANDIDATES.join(', ')} for PostgreSQL`);
}

/** The part of `spawn` options that makes a child run as `user`, in a folder it can surely enter. */
export function spawnAs(user: ServerUser | null): { uid?: number; gid?: number; cwd: string } {
  return user ? { uid: user.uid, gid: user.gid, cwd: '/' } : { cwd: '/' };
}

export async function giveTo(user: ServerUser | null, path: string): Promise<void> {
  if (user) await chown(path, user.uid, user.gid);
}

/** Whether `user` can enter every folder on the way to `path`, judged by their owners and modes. */
export async function mayReach(user: ServerUser | null, path: string): Promise<boolean> {
  if (!user) return true;
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = await stat(folder);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
