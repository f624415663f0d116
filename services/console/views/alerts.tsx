import { alertText } from '../alert-texts.ts';
import type { Notice } from '../answers.ts';
import { useDesk } from '../context.ts';
import { duration } from '../formats.ts';
import { Badge, Moment, type Tone } from '../pieces.tsx';

/** What the coordinator has told: what lasts, then everything, the newest first. */
export function Alerts() {
  const { info, live } = useDesk();
  if (live.alerts === null)
    return (
      <p class="hint">
        {live.loaded
          ? `The alerts of site ${info.site} cannot be read: Redis does not answer.`
          : 'Looking ...'}
      </p>
    );
  const { open, recent } = live.alerts;
  return (
    <>
      <p class="lead">
        What the coordinator of site {info.site} reports by command, webhook and mail, if they are configured.
        A trouble is reported when it begins, again while it lasts, and when it has ended.
      </p>
      <section class="card" aria-label="Open">
        <h2>Not over yet</h2>
        {open.length === 0 && <p>Nothing: no trouble lasts.</p>}
        <ul class="list">
          {open.map((notice) => (
            <Open key={notice.id} notice={notice} nowMs={live.nowMs} />
          ))}
        </ul>
      </section>
      <section class="card" aria-label="Reported">
        <h2>Reported lately</h2>
        {recent.length === 0 && <p class="hint">Nothing yet.</p>}
        <ul class="list">
          {recent.map((notice) => (
            <Reported key={notice.id} notice={notice} />
          ))}
        </ul>
      </section>
    </>
  );
}

function Open({ nowMs, notice }: { notice: Notice; nowMs: number }) {
  const { advice, what } = alertText(notice);
  return (
    <li>
      <strong>{what}</strong> <Badge tone="bad">{notice.event}</Badge>{' '}
      <span class="hint">for {duration(Math.max(0, nowMs - Date.parse(notice.since ?? notice.at)))}</span>
      {notice.reason && <span class="hint detail">Reason: {notice.reason}</span>}
      {advice && <span class="hint what">{advice}</span>}
    </li>
  );
}

const PHASES: Readonly<Record<Notice['phase'], readonly [text: string, tone: Tone]>> = {
  begin: ['begun', 'bad'],
  reminder: ['lasts', 'busy'],
  end: ['over', 'good'],
  once: ['happened', 'idle'],
};

function Reported({ notice }: { notice: Notice }) {
  const { at, event, phase, reason, since } = notice;
  const [text, tone] = PHASES[phase];
  return (
    <li>
      <Moment at={at} /> <Badge tone={tone}>{text}</Badge> {alertText(notice).what}
      {phase === 'end' && since && (
        <span class="hint"> after {duration(Date.parse(at) - Date.parse(since))}</span>
      )}
      {reason && phase !== 'end' && event !== 'failover-ended' && (
        <span class="hint detail">Reason: {reason}</span>
      )}
    </li>
  );
}
