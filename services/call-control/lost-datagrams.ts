import { readFileSync } from 'node:fs';

const TABLES = ['/proc/net/udp', '/proc/net/udp6'];

/** Datagrams to these local ports that the kernel threw away since their sockets were opened: their buffer was full. 0 where nobody tells. */
export function lostDatagrams(ports: readonly number[]): number {
  const suffixes = ports.map((port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`);
  return TABLES.flatMap(linesOf).reduce((lost, line) => {
    const fields = line.trim().split(/\s+/);
    const isOurs = suffixes.some((suffix) => fields[1]?.endsWith(suffix));
    return isOurs ? lost + Number(fields.at(-1)) : lost;
  }, 0);
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'latin1').split('\n');
  } catch {
    return [];
  }
}
