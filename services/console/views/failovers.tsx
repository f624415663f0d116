import { useState } from 'preact/hooks';
import type { FailoverReport } from '../answers.ts';
import { useDesk } from '../context.ts';
import { ago, count, directionText, duration, factsText } from '../formats.ts';
import { ADMIN_ONLY, Fault, Moment, OutcomeBadge, sentence } from '../pieces.tsx';
import { asFault, useRefreshed } from '../refreshed.ts';
import type { ViewProps } from '../view-props.ts';

const AGAIN_MS = 1_000;

/** Failovers, the newest first; the chosen one step by step while it happens. */
export function Failovers({ argument }: ViewProps) {
  const { live } = useDesk();
  const shown = argument ?? live.failovers[0]?.id ?? null;
  return (
    <>
      <p class="lead">
        When another server has become a site's primary, Lastcall brings back what only other sites still
        hold, rebuilds the copies that must be rebuilt and proves that all of them are equal. It never
        promotes a server itself: repmgr, Patroni or Pacemaker do that and tell Lastcall.
      </p>
      <Start />
      {shown && <Report id={shown} />}
      <section class="card" aria-label="All failovers">
        <h2>All failovers</h2>
        {live.failovers.length === 0 && <p class="hint">There has been none.</p>}
        <ul class="list">
          {live.failovers.map(({ id, reason, requestedAt, requestedBy, site, state }) => (
            <li key={id}>
              <a href={`#/failovers/${id}`} aria-current={id === shown ? 'true' : undefined}>
                Site {site}, {ago(requestedAt, live.nowMs)}
              </a>{' '}
              <OutcomeBadge state={state} />{' '}
              <span class="hint">
                {reason}, by {requestedBy}
              </span>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

function Start() {
  const { admin, client, info, live } = useDesk();
  const [fault, setFault] = useState<ReturnType<typeof asFault> | null>(null);
  const sites = [...new Set([info.site, ...live.directions.map(({ from }) => from)])].sort();
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    try {
      const { id } = await client.post<{ id: string }>('/v1/failovers', {
        site: String(form.get('site')),
        reason: String(form.get('reason')).trim() || 'operator',
        requestedBy: 'console',
      });
      setFault(null);
      location.hash = `#/failovers/${id}`;
    } catch (error) {
      setFault(asFault(error));
    }
  };
  return (
    <form class="card inline" onSubmit={submit} aria-label="Start a failover">
      <label>
        Site whose primary changed
        <select name="site">
          {sites.map((site) => (
            <option key={site}>{site}</option>
          ))}
        </select>
      </label>
      <label>
        Reason
        <input name="reason" maxLength={200} placeholder="operator" />
      </label>
      <button class="primary" type="submit" disabled={!admin} title={admin ? undefined : ADMIN_ONLY}>
        Heal after a failover
      </button>
      <p class="hint">Safe at any time: it checks first, and rebuilds only what has to be.</p>
      <Fault fault={fault} />
    </form>
  );
}

function Report({ id }: { id: string }) {
  const { client, live } = useDesk();
  const told = live.reports.get(id);
  const listed = live.failovers.some((failover) => failover.id === id);
  // One that has just been asked for, or an old one: the api tells of those that run and of the latest.
  const asked = useRefreshed(
    told ? null : `/v1/failovers/${encodeURIComponent(id)}`,
    (path) => client.get<FailoverReport>(path),
    listed ? null : AGAIN_MS,
  );
  const report = told ?? asked.value;
  const { fault } = asked;
  if (!report) return <Fault fault={fault} />;
  return (
    <section class="card" aria-label={`Failover of site ${report.site}`}>
      <h2>
        Failover of site {report.site} <OutcomeBadge state={report.state} />
      </h2>
      <p class="hint">
        {report.reason}, by {report.requestedBy}, <Moment at={report.requestedAt} />
        {report.endedAt && `, took ${duration(Date.parse(report.endedAt) - Date.parse(report.requestedAt))}`}.{' '}
        {count(report.salvagedRows)} rows salvaged.
      </p>
      {report.error && <p class="fault">{sentence(report.error)}</p>}
      {report.steps.length === 0 && <p class="waiting">The coordinator has not begun yet ...</p>}
      <ol class="steps">
        {report.steps.map((step) => (
          <Step key={`${step.direction} ${step.step}`} step={step} nowMs={live.nowMs} />
        ))}
      </ol>
    </section>
  );
}

/** In words for who has not read the manual. */
const STEPS: Readonly<Record<string, string>> = {
  check: 'Looks at both databases and decides what has to be done',
  fence: 'Stops the replicators that could still write',
  'salvage-marks': 'Brings back forget marks, so that nothing forgotten returns',
  'salvage-rows': 'Brings back rows that the new primary never had',
  slot: 'Makes a new replication slot',
  copy: 'Copies all rows beside the old copy',
  swap: 'Puts the new copy in place of the old one',
  stream: 'Lets changes flow again',
  barrier: 'Waits until a heartbeat written now has arrived',
  compare: 'Compares every row',
};

function Step({ nowMs, step }: { step: FailoverReport['steps'][number]; nowMs: number }) {
  const took = (step.endedAt ? Date.parse(step.endedAt) : nowMs) - Date.parse(step.startedAt);
  const facts = factsText(step.detail);
  return (
    <li class={step.state}>
      <strong>{step.step}</strong> <span class="direction">{directionText(step.direction)}</span>{' '}
      <OutcomeBadge state={step.state} /> <span class="number">{duration(Math.max(0, took))}</span>
      {step.attempts > 1 && <span class="hint"> {step.attempts} attempts</span>}
      <span class="hint what">
        {STEPS[step.step] ?? ''}
        {step.state === 'skipped' && ': there was nothing to do'}
      </span>
      {facts !== '' && <span class="detail">{facts}</span>}
    </li>
  );
}
