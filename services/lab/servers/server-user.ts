import { readFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';

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
