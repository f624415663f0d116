import { useState } from 'preact/hooks';
import type { Terminal, TerminalPage } from '../answers.ts';
import { useDesk } from '../context.ts';
import { Badge, Fault } from '../pieces.tsx';
import { useRefreshed } from '../refreshed.ts';
import type { ViewProps } from '../view-props.ts';
import { TerminalDetail } from './terminal-detail.tsx';

const PAGE = 25;

/** Find a terminal, then see what is known of it. */
export function Terminals({ argument }: ViewProps) {
  if (argument !== null && /^\d{1,16}$/.test(argument))
    return <TerminalDetail terminalId={Number(argument)} />;
  return <Search />;
}

function Search() {
  const { client, live } = useDesk();
  const [name, setName] = useState('');
  const [after, setAfter] = useState(0);
  const key = name === '' ? `?after=${after}&limit=${PAGE}` : `?name=${encodeURIComponent(name)}`;
  const { value, fault } = useRefreshed(
    key,
    (query) => client.get<TerminalPage>(`/v1/terminals${query}`),
    null,
    live.terminalChanges,
  );
  const search = (event: SubmitEvent): void => {
    event.preventDefault();
    setAfter(0);
    setName(String(new FormData(event.currentTarget as HTMLFormElement).get('name')).trim());
  };
  return (
    <>
      <form class="card inline" onSubmit={search}>
        <label>
          Number, username or address of record
          <input name="name" type="search" maxLength={256} autocomplete="off" placeholder="1001" />
        </label>
        <button class="primary" type="submit">
          Find
        </button>
        <p class="hint">Leave it empty to list all.</p>
      </form>
      <Fault fault={fault} />
      <section class="card" aria-label="Terminals">
        {value?.terminals.length === 0 && <p class="hint">No terminal is called that.</p>}
        <ul class="list">
          {value?.terminals.map((terminal) => (
            <TerminalLine key={terminal.terminalId} terminal={terminal} />
          ))}
        </ul>
        <div class="actions">
          {after > 0 && (
            <button type="button" onClick={() => setAfter(0)}>
              From the beginning
            </button>
          )}
          {value?.next && (
            <button type="button" onClick={() => setAfter(value.next ?? 0)}>
              Next {PAGE}
            </button>
          )}
        </div>
      </section>
    </>
  );
}

function TerminalLine({ terminal }: { terminal: Terminal }) {
  const { aor, enabled, number, terminalId } = terminal;
  return (
    <li>
      <a href={`#/terminals/${terminalId}`}>{number}</a> <span class="hint">{aor}</span>{' '}
      {!enabled && <Badge tone="idle">disabled</Badge>}
    </li>
  );
}
