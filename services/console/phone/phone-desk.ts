import { createContext } from 'preact';
import { useCallback, useContext, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Account, ConsoleInfo, SoftphoneServer } from '../answers.ts';
import { Softphone } from './softphone.ts';

/** The phones of this tab. They live as long as the log-in, whichever view is shown. */
export interface Phones {
  readonly phones: readonly Softphone[];
  /** Accounts to offer; none outside of a demonstration. */
  readonly accounts: readonly Account[];
  /** Null: this site has no WebSocket listener that this page may use. */
  readonly server: string | null;
  readonly connect: (account: Account) => void;
  readonly disconnect: (phone: Softphone) => void;
}

export const PhoneDesk = createContext<Phones | null>(null);

export function usePhoneDesk(): Phones {
  const phones = useContext(PhoneDesk);
  if (!phones) throw new Error('no phones outside of a log-in');
  return phones;
}

export function usePhones({ domain, servers }: ConsoleInfo, accounts: readonly Account[]): Phones {
  const [phones, setPhones] = useState<readonly Softphone[]>([]);
  const [turn, setTurn] = useState(0);
  const server = useMemo(() => serverUrl(servers), [servers]);
  const current = useRef(phones);
  current.current = phones;

  const connect = useCallback(
    (account: Account) => {
      if (server === null || current.current.some(({ username }) => username === account.username)) return;
      const onChange = (): void => setTurn((before) => before + 1);
      const phone = new Softphone({ account, domain, server, onChange });
      phone.start();
      setPhones((before) => [...before, phone]);
    },
    [domain, server],
  );
  const disconnect = useCallback((phone: Softphone) => {
    void phone.stop();
    setPhones((before) => before.filter((each) => each !== phone));
  }, []);
  useEffect(() => {
    const stopAll = (): void => {
      for (const phone of current.current) void phone.stop();
    };
    addEventListener('pagehide', stopAll);
    return () => {
      removeEventListener('pagehide', stopAll);
      stopAll();
    };
  }, []);
  return useMemo(
    () => ({ phones, accounts, server, connect, disconnect }),
    [phones, accounts, server, connect, disconnect, turn],
  );
}

/** A page over https may connect over wss only; a page over http takes ws, whose certificate nobody has to accept. */
function serverUrl(servers: readonly SoftphoneServer[]): string | null {
  const secure = location.protocol === 'https:';
  const fit = secure ? servers.filter(({ scheme }) => scheme === 'wss') : servers;
  const server = fit.find(({ scheme }) => scheme === 'ws') ?? fit[0];
  if (!server) return null;
  const host = server.host === null ? location.hostname : bracketed(server.host);
  return `${server.scheme}://${host}:${server.port}`;
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);
