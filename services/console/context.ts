import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { ConsoleInfo } from './answers.ts';
import type { ApiClient } from './api-client.ts';
import type { Live } from './live.ts';

/** What every view works with once somebody has logged in. */
export interface Desk {
  readonly client: ApiClient;
  readonly info: ConsoleInfo;
  readonly live: Live;
  /** Whether the token may change things. */
  readonly admin: boolean;
}

export const DeskContext = createContext<Desk | null>(null);

export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (!desk) throw new Error('no desk outside of a log-in');
  return desk;
}
