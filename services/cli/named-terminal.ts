import { LastcallError } from '../../shared/domain/errors.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { Queryable } from '../../shared/postgres/database.ts';
import { findTerminal, findTerminalByName } from '../../shared/postgres/terminals.ts';

export const TERMINAL_ARGUMENT = {
  name: 'TERMINAL',
  description: 'its number, username, address of record or terminal id, tried in this order',
} as const;

/** Throws `TERMINAL_NOT_FOUND`. */
export async function namedTerminal(database: Queryable, name: string): Promise<StoredTerminal> {
  const found = (await findTerminalByName(database, name)) ?? (await byId(database, name));
  if (found) return found;
  throw new LastcallError('TERMINAL_NOT_FOUND', { details: { terminal: name } });
}

async function byId(database: Queryable, name: string): Promise<StoredTerminal | null> {
  const terminalId = /^\d{1,16}$/.test(name) ? Number(name) : 0;
  return terminalId > 0 && Number.isSafeInteger(terminalId) ? findTerminal(database, { terminalId }) : null;
}
