import type { Direction } from '../answers.ts';
import { useDesk } from '../context.ts';
import { type Finding, findings, PART_NAMES } from '../findings.ts';
import { ago, duration } from '../formats.ts';
import { Badge, DirectionBadge, OutcomeBadge, sentence, type Tone } from '../pieces.tsx';

/** Every site and whether it is well, at one glance. */
export function Overview() {
  const { info, live } = useDesk();
  const found = findings({ ...live, site: info.site });
  const sites = [...new Set([info.site, ...live.directions.flatMap(({ from, to }) => [from, to])])];
  if (!live.loaded) return <p class="waiting">Looking ...</p>;
  return (
    <>
      <Verdict found={found} />
      <div class="grid">
        {sites.map((site) => (
          <SiteCard key={site} site={site} />
        ))}
      </div>
      <LastFailover />
      <TryIt />
    </>
  );
}

function Verdict({ found }: { found: readonly Finding[] }) {
  const worst = found.some(({ severity }) => severity === 'fault') ? 'bad' : 'busy';
  if (found.length === 0)
    return (
      <section class="verdict good" aria-label="Verdict">
        <h2>All is well</h2>
        <p>Every site works, and every copy is fresh.</p>
      </section>
    );
  return (
    <section class={`verdict ${worst}`} aria-label="Verdict">
      <h2>{worst === 'bad' ? 'Something is broken' : 'Something is going on'}</h2>
      <ul>
        {found.map(({ text, view }) => (
          <li key={text}>
            <a href={`#/${view}`}>{sentence(text)}</a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function SiteCard({ site }: { site: string }) {
  const { info, live } = useDesk();
  const copies = live.directions.filter(({ to }) => to === site);
  const isOwn = site === info.site;
  return (
    <section class="card site" aria-label={`Site ${site}`}>
      <h2>
        Site {site} {isOwn && <small>you are here</small>}
      </h2>
      <dl class="facts">
        {isOwn ? <OwnParts /> : <Reach copies={copies} />}
        {copies.map((copy) => (
          <div key={copy.from}>
            <dt>Copy of site {copy.from}'s calls</dt>
            <dd>
              <DirectionBadge direction={copy} />{' '}
              {copy.lagMs !== null && <span class="number">{duration(copy.lagMs)} old</span>}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

const PART_TONES: Readonly<Record<string, Tone>> = { up: 'good', degraded: 'busy' };

function OwnParts() {
  const checks = Object.entries(useDesk().live.health?.checks ?? {});
  return (
    <>
      {checks.map(([name, { state }]) => (
        <div key={name}>
          <dt>{PART_NAMES[name] ?? name}</dt>
          <dd>
            <Badge tone={PART_TONES[state] ?? 'bad'}>{state}</Badge>
          </dd>
        </div>
      ))}
    </>
  );
}

/** Of another site this api sees the database. */
function Reach({ copies }: { copies: readonly Direction[] }) {
  const away = copies.length === 0 || copies.every(({ reason }) => reason === 'peer-unreachable');
  return (
    <div>
      <dt>PostgreSQL, seen from here</dt>
      <dd>{away ? <Badge tone="bad">out of reach</Badge> : <Badge tone="good">up</Badge>}</dd>
    </div>
  );
}

function LastFailover() {
  const { live } = useDesk();
  const [last] = live.failovers;
  return (
    <section class="card" aria-label="Last failover">
      <h2>Last failover</h2>
      {last ? (
        <p>
          <a href={`#/failovers/${last.id}`}>Site {last.site}</a>, {ago(last.requestedAt, live.nowMs)}, asked
          for by {last.requestedBy}: {last.reason} <OutcomeBadge state={last.state} />
        </p>
      ) : (
        <p class="hint">There has been none.</p>
      )}
    </section>
  );
}

function TryIt() {
  return (
    <section class="card" aria-label="Try it">
      <h2>Try it</h2>
      <p>
        Open the <a href="#/phone">phone</a>, connect two accounts, call one from the other and hang up. Then
        press <kbd>*52</kbd>: the last dialed number rings again. At every site the answer is the same.
      </p>
    </section>
  );
}
