import { useDesk } from '../context.ts';
import { factsText } from '../formats.ts';
import { Action, ADMIN_ONLY, Fault, Moment } from '../pieces.tsx';
import { useRefreshed } from '../refreshed.ts';

interface Ban {
  readonly name: string;
  readonly source: string;
  readonly failures: number;
  readonly heldUntil: string;
}

/** Who is held back, and who changed what. */
export function RecordOf() {
  const { admin } = useDesk();
  if (!admin) return <p class="hint">{ADMIN_ONLY}.</p>;
  return (
    <>
      <Bans />
      <Audit />
    </>
  );
}

function Bans() {
  const { client } = useDesk();
  const { value, fault, refresh } = useRefreshed(
    '/v1/bans',
    (path) => client.get<{ bans: Ban[] }>(path),
    3_000,
  );
  return (
    <section class="card" aria-label="Bans">
      <h2>Held back</h2>
      <p class="hint">
        After eight wrong passwords a username must wait at the address that gave them: a second at first, a
        minute at most.
      </p>
      {fault?.isUnknownAddress ? <p class="hint">This api does not list them.</p> : <Fault fault={fault} />}
      {value?.bans.length === 0 && <p>Nobody is held back.</p>}
      <ul class="list">
        {value?.bans.map(({ failures, heldUntil, name, source }) => (
          <li key={`${name} ${source}`}>
            <strong>{name}</strong> from {source}: {failures} wrong passwords, until <Moment at={heldUntil} />{' '}
            <Action
              label="Let in"
              name={`Let in ${name} from ${source}`}
              act={() => client.delete(`/v1/bans/${encodeURIComponent(name)}`).then(refresh)}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

interface AuditEntry {
  readonly id: number;
  readonly at: string;
  readonly who: string;
  readonly via: string;
  readonly source: string | null;
  readonly what: string;
  readonly details: Readonly<Record<string, unknown>>;
}

function Audit() {
  const { client } = useDesk();
  const { value, fault } = useRefreshed(
    '/v1/audit?limit=100',
    (path) => client.get<{ entries: AuditEntry[] }>(path),
    3_000,
  );
  return (
    <section class="card" aria-label="Audit log">
      <h2>Who changed what</h2>
      <p class="hint">Every change by REST, this page or the command line, the newest first.</p>
      {fault?.isUnknownAddress ? <p class="hint">This api keeps no audit log.</p> : <Fault fault={fault} />}
      {value?.entries.length === 0 && <p>Nobody changed anything.</p>}
      <ul class="list">
        {value?.entries.map(({ at, details, id, source, via, what, who }) => (
          <li key={id}>
            <Moment at={at} /> <strong>{who}</strong> {what}{' '}
            <span class="hint">
              by {via}
              {source && ` from ${source}`}
            </span>
            {Object.keys(details).length > 0 && <span class="hint detail">{factsText(details)}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}
