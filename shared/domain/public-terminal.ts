import { formatTimestamptz, type Micros } from './micros.ts';
import type { Terminal } from './terminal.ts';

export interface PublicTerminal extends Omit<Terminal, 'ha1Md5' | 'ha1Sha256'> {
  readonly updatedAt?: string;
  readonly site?: string;
}

/** A terminal without its credentials, as anyone may see it: dates as RFC 3339. */
export function publicTerminal(terminal: Terminal & { updatedAt?: Micros; site?: string }): PublicTerminal {
  const { ha1Md5: _md5, ha1Sha256: _sha256, updatedAt, ...rest } = terminal;
  return updatedAt === undefined ? rest : { ...rest, updatedAt: formatTimestamptz(updatedAt) };
}
