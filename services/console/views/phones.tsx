import { PhoneCard } from '../phone/phone-card.tsx';
import { usePhoneDesk } from '../phone/phone-desk.ts';

/** Phones in the browser: connect accounts, call, and press the star codes. */
export function Phones() {
  const { accounts, connect, phones, server } = usePhoneDesk();
  const free = accounts.filter(({ username }) => !phones.some((phone) => phone.username === username));
  if (server === null)
    return (
      <p class="fault">
        This site has no WebSocket listener that this page may use: set <code>sip.wss</code>, or{' '}
        <code>sip.ws</code> for a page over http.
      </p>
    );
  return (
    <>
      <p class="lead">
        Connect two accounts, call one from the other, hang up. Then press <kbd>*52</kbd> to redial, or let a
        call ring out and press <kbd>*69</kbd> on the phone that missed it.
      </p>
      <section class="card" aria-label="Connect">
        <h2>Connect an account</h2>
        {free.length > 0 && (
          <div class="actions">
            {free.map((account) => (
              <button key={account.username} type="button" class="primary" onClick={() => connect(account)}>
                Connect {account.username}
              </button>
            ))}
          </div>
        )}
        <details open={accounts.length === 0}>
          <summary>{accounts.length > 0 ? 'Another account' : 'Account'}</summary>
          <OtherAccount />
        </details>
        <p class="hint">
          It registers at <code>{server}</code>.
        </p>
      </section>
      <div class="grid phones">
        {phones.map((phone) => (
          <PhoneCard key={phone.username} phone={phone} />
        ))}
      </div>
    </>
  );
}

function OtherAccount() {
  const { connect } = usePhoneDesk();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const fields = new FormData(form);
    connect({ username: String(fields.get('username')).trim(), password: String(fields.get('password')) });
    form.reset();
  };
  return (
    <form class="inline" onSubmit={submit}>
      <label>
        Username
        <input name="username" required maxLength={128} autocomplete="off" />
      </label>
      <label>
        Password
        <input name="password" type="password" required maxLength={256} autocomplete="off" />
      </label>
      <button type="submit">Connect</button>
    </form>
  );
}
