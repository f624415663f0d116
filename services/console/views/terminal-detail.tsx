import { GROUPS, type GroupName, type LastCalls, type Terminal } from '../answers.ts';
import { useDesk } from '../context.ts';
import { ago, duration } from '../formats.ts';
import { Action, ADMIN_ONLY, Badge, Fault, Moment } from '../pieces.tsx';
import { useRefreshed } from '../refreshed.ts';
import { type Fate, fates } from '../why-chosen.ts';
import { CodeAnswer } from './code-answer.tsx';

const EVERY_MS = 1_500;

const GROUP_TITLES: Readonly<Record<GroupName, string>> = {
  dialed: 'Last dialed',
  received: 'Last missed',
  terminated: 'Last answered',
};

/** One terminal: what its star codes would call, and every table's entries with the one that wins. */
export function TerminalDetail({ terminalId }: { terminalId: number }) {
  const { client, info, live } = useDesk();
  const path = `/v1/terminals/${terminalId}`;
  const load = (address: string) => client.get<Terminal>(address);
  const terminal = useRefreshed(path, load, null, live.terminalChanges);
  const codes = info.codes.filter(({ feature }) => feature === 'redial' || feature === 'return');
  return (
    <>
      <p>
        <a href="#/terminals">All terminals</a>
      </p>
      <Fault fault={terminal.fault} />
      {terminal.value && <Facts terminal={terminal.value} />}
      <div class="grid">
        {codes.map(({ code, feature }) => (
          <section key={code} class="card" aria-label={code}>
            <h2>
              <kbd>{code}</kbd> {feature === 'redial' ? 'last number redial' : 'call return'}
            </h2>
            <CodeAnswer query={`terminalId=${terminalId}`} code={code} />
          </section>
        ))}
      </div>
      <Tables path={`${path}/lastcalls`} />
    </>
  );
}

function Facts({ terminal }: { terminal: Terminal }) {
  const { aor, enabled, features, number, terminalId, username } = terminal;
  return (
    <section class="card" aria-label={`Terminal ${number}`}>
      <h2>
        {number} {!enabled && <Badge tone="idle">disabled</Badge>}
      </h2>
      <p class="hint">
        {aor}, username {username}, terminal {terminalId}. May use: {features.join(', ') || 'nothing'}.
      </p>
    </section>
  );
}

function Tables({ path }: { path: string }) {
  const { admin, client } = useDesk();
  const calls = useRefreshed(path, (address) => client.get<LastCalls>(address), EVERY_MS);
  return (
    <section class="card" aria-label="Last calls">
      <h2>Last calls, table by table</h2>
      <Fault fault={calls.fault} />
      {calls.value && <CallsTable calls={calls.value} />}
      <div class="actions">
        <Action
          label="Forget all last calls"
          danger
          refused={admin ? null : ADMIN_ONLY}
          question="Forget the last calls of this terminal, in every table of every site? This cannot be undone."
          act={() => client.delete(path).then(calls.refresh)}
        />
      </div>
    </section>
  );
}

function CallsTable({ calls }: { calls: LastCalls }) {
  const { info, live } = useDesk();
  const sites = new Set([
    info.site,
    ...live.directions.map(({ from }) => from),
    ...Object.keys(calls.tables),
  ]);
  const sources = [...sites].filter((source) => source !== 'pending' || calls.tables[source]).sort();
  const byGroup = Object.fromEntries(GROUPS.map((group) => [group, fates(calls, group, info.site)]));
  return (
    <>
      {calls.degraded && (
        <p class="fault">
          Not every table can be read now: {calls.unreadable.join(', ')}. What is shown is the rest.
        </p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: without a mouse it is scrolled by the arrow keys. */}
      <section class="scroll" tabIndex={0} aria-label="Every table">
        <table>
          <thead>
            <tr>
              <th scope="col">Where it stands</th>
              {GROUPS.map((group) => (
                <th key={group} scope="col">
                  {GROUP_TITLES[group]}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sources.map((source) => (
              <tr key={source}>
                <th scope="row">{source === 'pending' ? 'not in a table yet' : `site ${source}'s table`}</th>
                {GROUPS.map((group) => (
                  <Cell
                    key={group}
                    column={GROUP_TITLES[group]}
                    entry={calls.tables[source]?.[group] ?? null}
                    fate={byGroup[group]?.get(source) ?? { kind: 'empty' }}
                    withheld={calls[group]?.withheld ?? false}
                  />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

interface CellProps {
  /** For a screen that is too narrow for columns. */
  readonly column: string;
  readonly entry: { readonly number: string | null; readonly at: string } | null;
  readonly fate: Fate;
  readonly withheld: boolean;
}

function Cell({ column, entry, fate, withheld }: CellProps) {
  const { live } = useDesk();
  if (!entry)
    return (
      <td class="empty" data-column={column}>
        {fate.kind === 'unreadable' ? 'cannot be read' : 'nothing'}
      </td>
    );
  const nameless = fate.kind === 'winner' && !withheld ? 'erased' : 'no number: withheld or erased';
  return (
    <td class={fate.kind} data-column={column}>
      <strong>{entry.number ?? nameless}</strong>
      <br />
      <Moment at={entry.at} /> <span class="hint">{ago(entry.at, live.nowMs)}</span>
      <br />
      <FateNote fate={fate} />
    </td>
  );
}

function FateNote({ fate }: { fate: Fate }) {
  switch (fate.kind) {
    case 'winner':
      return <Badge tone="good">✓ wins: {fate.why}</Badge>;
    case 'older':
      return <span class="hint">older by {duration(fate.byMs)}</span>;
    case 'same':
      return <span class="hint">the same date</span>;
    case 'forgotten':
      return <span class="hint">forgotten since</span>;
    default:
      return null;
  }
}
