import type { Direction } from '../answers.ts';
import { Chart } from '../chart.tsx';
import { useDesk } from '../context.ts';
import { bytes, count, duration } from '../formats.ts';
import { Action, ADMIN_ONLY, DirectionBadge } from '../pieces.tsx';
import { labelOf } from '../series.ts';

/** Every direction with its lag, and the three things that an operator can do with it. */
export function ReplicationView() {
  const { live } = useDesk();
  const spoken = live.directions.map(
    ({ from, lagMs, to }) => `${from} to ${to} ${lagMs === null ? 'unknown' : duration(lagMs)}`,
  );
  return (
    <>
      <p class="lead">
        Each site writes a table of its own and holds a copy of every other site's. A star code reads them all
        and calls the freshest number. A copy that lags behind hides only the newest calls of its site.
      </p>
      <div class="grid">
        {live.directions.map((direction) => (
          <DirectionCard key={labelOf(direction)} direction={direction} />
        ))}
      </div>
      <Chart
        title="How old each copy is"
        series={live.series}
        pick="lagMs"
        unit={duration}
        summary={`Lag over the last five minutes. Now: ${spoken.join(', ')}.`}
      />
      <Chart
        title="Rows applied a second"
        series={live.series}
        pick="rowsPerSecond"
        unit={count}
        summary="Rows applied a second over the last five minutes."
      />
    </>
  );
}

function DirectionCard({ direction }: { direction: Direction }) {
  const { from, lagMs, paused, reason, rowsApplied, slot, to } = direction;
  return (
    <section class="card" aria-label={`From ${from} to ${to}`}>
      <h2>
        {from} → {to} <DirectionBadge direction={direction} />
      </h2>
      <p class="hint">
        Site {to}'s copy of what site {from} records{reason && !paused && `. Reason: ${reason}`}
        {direction.fencedBy && '. A failover holds it'}
      </p>
      <dl class="facts">
        <Row name="How old">{lagMs === null ? 'unknown' : duration(lagMs)}</Row>
        <Row name="Rows applied">{count(rowsApplied)}</Row>
        <Row name="WAL kept for it">
          {slot.retainedBytes === null ? 'unknown' : bytes(slot.retainedBytes)}
          {slot.budgetBytes !== null && ` of ${bytes(slot.budgetBytes)}`}
        </Row>
        <Row name="Applied up to">
          {direction.appliedLsn ?? 'nothing yet'}
          {direction.timeline !== null && `, timeline ${direction.timeline}`}
        </Row>
      </dl>
      <Steering from={from} to={to} paused={paused} />
    </section>
  );
}

function Row({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">{children}</dd>
    </div>
  );
}

function Steering({ from, paused, to }: { from: string; to: string; paused: boolean }) {
  const { admin, client } = useDesk();
  const path = `/v1/replication/${from}/${to}`;
  const refused = admin ? null : ADMIN_ONLY;
  const what = `${from} to ${to}`;
  return (
    <div class="actions">
      {paused ? (
        <Action
          key="resume"
          label="Resume"
          name={`Resume ${what}`}
          refused={refused}
          act={() => client.post(`${path}/resume`)}
        />
      ) : (
        <Action
          key="pause"
          label="Pause"
          name={`Pause ${what}`}
          refused={refused}
          question={`Pause the copy of site ${from} at site ${to}? Nothing is lost: site ${from} keeps its WAL until you resume, within the budget.`}
          act={() => client.post(`${path}/pause`)}
        />
      )}
      <Action
        label="Copy anew"
        name={`Copy anew ${what}`}
        refused={refused}
        question={`Copy all of site ${from}'s rows to site ${to} anew? Calls go on: readers see the old copy until the new one is whole.`}
        act={() => client.post(`${path}/resync`)}
      />
    </div>
  );
}
