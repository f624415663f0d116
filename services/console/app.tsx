import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import type { Account, ConsoleInfo } from './answers.ts';
import { ApiClient } from './api-client.ts';
import { DeskContext } from './context.ts';
import { useLive } from './live.ts';
import { Login } from './login.tsx';
import { PhoneDesk, usePhones } from './phone/phone-desk.ts';
import { asFault } from './refreshed.ts';
import { useRoute, VIEWS } from './routes.ts';
import { dropToken, keepToken, storedToken, takeLoginCode } from './session.ts';
import { Shell } from './shell.tsx';

const code = takeLoginCode();

/** The log-in, then everything else. */
export function App() {
  const [token, setToken] = useState(code === null ? storedToken() : null);
  const [notice, setNotice] = useState<string | null>(null);
  const logIn = useCallback((accepted: string) => {
    keepToken(accepted);
    setNotice(null);
    setToken(accepted);
  }, []);
  const logOut = useCallback((why: string | null) => {
    dropToken();
    setNotice(why);
    setToken(null);
  }, []);
  if (token === null) return <Login code={code} notice={notice} onToken={logIn} />;
  return <LoggedIn key={token} token={token} onEnd={logOut} />;
}

function LoggedIn({ token, onEnd }: { token: string; onEnd: (why: string | null) => void }) {
  const client = useMemo(
    () => new ApiClient(token, () => onEnd('This token is not good any more. Log in again.')),
    [token, onEnd],
  );
  const known = useSite(client, onEnd);
  if (!known) return <p class="waiting">Asking the api ...</p>;
  return <Desk client={client} info={known.info} accounts={known.accounts} onEnd={onEnd} />;
}

interface KnownSite {
  readonly info: ConsoleInfo;
  /** Null: the token is no admin's. */
  readonly accounts: readonly Account[] | null;
}

function useSite(client: ApiClient, onEnd: (why: string | null) => void): KnownSite | null {
  const [known, setKnown] = useState<KnownSite | null>(null);
  useEffect(() => {
    const ask = async (): Promise<void> => {
      const info = await client.get<ConsoleInfo>('/v1/console');
      const accounts = await client.get<{ accounts: Account[] }>('/v1/console/accounts').then(
        (answer) => answer.accounts,
        () => null,
      );
      setKnown({ info, accounts });
    };
    ask().catch((error: unknown) => {
      const { message, status } = asFault(error);
      if (status !== 401) onEnd(`The api said: ${message}.`);
    });
  }, [client, onEnd]);
  return known;
}

interface DeskProps extends KnownSite {
  readonly client: ApiClient;
  readonly onEnd: (why: string | null) => void;
}

function Desk({ accounts, client, info, onEnd }: DeskProps) {
  const live = useLive(client);
  const route = useRoute();
  const phones = usePhones(info, accounts ?? []);
  const desk = useMemo(
    () => ({ client, info, live, admin: accounts !== null }),
    [client, info, live, accounts],
  );
  const View = VIEWS[route.view].component;
  return (
    <DeskContext.Provider value={desk}>
      <PhoneDesk.Provider value={phones}>
        <Shell route={route} onLogOut={() => onEnd(null)}>
          <View argument={route.argument} />
        </Shell>
      </PhoneDesk.Provider>
    </DeskContext.Provider>
  );
}
