import { hostname, userInfo } from 'node:os';

/** Who runs this command line: `root@db1`. Of a user id without a name the id is said. */
export function operator(): string {
  return `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
