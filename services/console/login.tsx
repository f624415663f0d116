import { useEffect, useState } from 'preact/hooks';
import type { ConsoleInfo } from './answers.ts';
import { ApiClient } from './api-client.ts';
import { asFault } from './refreshed.ts';
import { redeemLoginCode } from './session.ts';

interface LoginProps {
  /** Of a one-time link. */
  readonly code: string | null;
  readonly notice: string | null;
  readonly onToken: (token: string) => void;
}

export function Login({ code, notice, onToken }: LoginProps) {
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(code !== null && notice === null);

  useEffect(() => {
    if (!busy || code === null) return;
    redeemLoginCode(code)
      .then(onToken)
      .catch(() => setFault('This link was used already, or is too old. Log in with a token.'))
      .finally(() => setBusy(false));
  }, []);

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const token = String(new FormData(event.currentTarget as HTMLFormElement).get('token')).trim();
    setBusy(true);
    try {
      await new ApiClient(token, () => {}).get<ConsoleInfo>('/v1/console');
      onToken(token);
    } catch (error) {
      const { message, status } = asFault(error);
      setFault(status === 401 ? 'The api does not know this token.' : `The api said: ${message}.`);
      setBusy(false);
    }
  };

  return (
    <main class="login">
      <form class="card" onSubmit={submit}>
        <h1>
          <img src="icon.svg" alt="" width="36" height="36" /> Lastcall
        </h1>
        <label for="token">Token</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="current-password"
          required
          spellcheck={false}
          aria-describedby="token-hint"
        />
        <p id="token-hint" class="hint">
          <code>lastcall tokens add NAME</code> makes one; that of <code>npm start</code> stands in{' '}
          <code>.lab/endpoints.json</code> as <code>adminToken</code>. It is kept in this tab only.
        </p>
        <p class="fault" role="alert">
          {fault ?? notice}
        </p>
        <button class="primary" type="submit" disabled={busy}>
          {busy ? 'Logging in ...' : 'Log in'}
        </button>
      </form>
    </main>
  );
}
