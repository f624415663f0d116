import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isFree } from '../../shared/servers/free-port.ts';
import type { NeededPort } from './plan.ts';

/** A socket bound to a port, from /proc/net. */
export type BoundSocket = { readonly inode: string; readonly listening: boolean };

/** Linux keeps a closed connection's port for a minute. */
const TIME_WAIT_MS = 65_000;
const ASK_AGAIN_MS = 500;

/**
 * One line for each port that somebody else listens on; empty when all are free. A port that only an outgoing connection
 * was given by the kernel (55432 lies among its ephemeral ports) comes free by itself: that is waited for.
 */
export async function takenPorts(
  needed: readonly NeededPort[],
  say: (line: string) => void,
): Promise<string[]> {
  const taken: string[] = [];
  for (const port of needed) {
    if (!(await comesFree(port, say))) taken.push(describe(port));
  }
  return taken;
}

async function comesFree(needed: NeededPort, say: (line: string) => void): Promise<boolean> {
  const { transport, host, port } = needed;
  const deadline = performance.now() + TIME_WAIT_MS;
  for (let attempt = 0; !(await isFree(transport, host, port)); attempt++) {
    const sockets = boundSockets(transport, port);
    const passing = sockets.length > 0 && !sockets.some(({ listening }) => listening);
    if (!passing || performance.now() > deadline) return false;
    if (attempt === 0) say(`Waiting for port ${port}, which an outgoing connection just used ...`);
    await delay(ASK_AGAIN_MS);
  }
  return true;
}

function describe({ transport, host, port, what }: NeededPort): string {
  const holder = portHolder(transport, port) ?? 'another process';
  return `${host}:${port}/${transport} (${what}) is in use by ${holder}`;
}

/** `sipp (pid 4711)`, as far as /proc lets us look; `null` when it does not. */
export function portHolder(transport: 'tcp' | 'udp', port: number): string | null {
  const inodes = new Set(boundSockets(transport, port).map(({ inode }) => inode));
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

function boundSockets(transport: 'tcp' | 'udp', port: number): BoundSocket[] {
  return [transport, `${transport}6`].flatMap((table) => parseSockets(readText(`/proc/net/${table}`), port));
}

/**
 * The sockets of a table of /proc/net that are bound to `port`. Its columns: sl, local_address as HEX:PORT, rem_address,
 * st (0A is LISTEN, 07 an unconnected UDP socket), queues, timer, retransmits, uid, timeout, inode.
 */
export function parseSockets(table: string, port: number): BoundSocket[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix))
    .map((columns) => ({
      inode: columns[9] as string,
      listening: columns[3] === '0A' || columns[3] === '07',
    }));
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
