import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { NeededPort } from './plan.ts';
import { isFree } from './servers/free-port.ts';

/** One line a port that somebody else holds; empty when all are free. */
export async function takenPorts(needed: readonly NeededPort[]): Promise<string[]> {
  const taken: string[] = [];
  for (const port of needed) {
    if (await isFree(port.transport, port.host, port.port)) continue;
    const holder = portHolder(port.transport, port.port);
    taken.push(
      `${port.host}:${port.port}/${port.transport} (${port.what}) is in use by ${holder ?? 'another process'}`,
    );
  }
  return taken;
}

/** `sipp (pid 4711)`, as far as /proc lets us look; `null` when it does not. */
export function portHolder(transport: 'tcp' | 'udp', port: number): string | null {
  const inodes = new Set([transport, `${transport}6`].flatMap((table) => boundInodes(table, port)));
  if (inodes.size === 0) return null;
  for (const pid of listFolder('/proc').filter((name) => /^\d+$/.test(name))) {
    const holds = listFolder(`/proc/${pid}/fd`).some((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.has(inode);
    });
    if (holds) return `${readText(`/proc/${pid}/comm`).trim()} (pid ${pid})`;
  }
  return null;
}

/**
 * Inodes of the sockets bound to `port` in a table of /proc/net. Its columns: sl, local_address as HEX:PORT,
 * rem_address, st (0A is LISTEN; UDP has no such state), queues, timer, retransmits, uid, timeout, inode.
 */
export function boundInodes(table: string, port: number, text = readText(`/proc/net/${table}`)): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix) && (table.startsWith('udp') || columns[3] === '0A'))
    .map((columns) => columns[9] as string);
}

/** What vanishes or is closed to us while we look counts as empty. */
function quietly<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

const listFolder = (folder: string): string[] => quietly(() => readdirSync(folder), []);
const readText = (file: string): string => quietly(() => readFileSync(file, 'latin1'), '');
const readLink = (file: string): string => quietly(() => readlinkSync(file), '');
