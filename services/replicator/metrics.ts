import { Counter, type Gauge } from 'prom-client';
import { lagBytes } from '../../shared/domain/lsn.ts';
import type { Metrics } from '../../shared/runtime/metrics.ts';
import { type Direction, lagMs } from './direction.ts';
import type { Replicator } from './replicator.ts';

/** `lastcall_replication_*`, labelled by direction and read at scrape time. A figure that is not known has no sample. */
export function exposeReplication(
  metrics: Metrics,
  replicator: Pick<Replicator, 'directions' | 'targets'>,
  heartbeatMs: number,
): void {
  const each = (name: string, help: string, read: (direction: Direction) => number | null): void => {
    metrics.gauge(`replication_${name}`, help, ['from', 'to'], (gauge: Gauge<'from' | 'to'>) => {
      gauge.reset();
      for (const direction of replicator.directions) {
        const value = read(direction);
        if (value !== null) gauge.set({ from: direction.from, to: direction.to }, value);
      }
    });
  };
  const count = (name: string, help: string, read: (direction: Direction) => number): void => {
    const counter: Counter<'from' | 'to'> = new Counter({
      name: `lastcall_replication_${name}`,
      help,
      labelNames: ['from', 'to'],
      registers: [metrics.registry],
      collect: () => {
        counter.reset();
        for (const direction of replicator.directions)
          counter.inc({ from: direction.from, to: direction.to }, read(direction));
      },
    });
  };
  metrics.gauge(
    'replication_state',
    '1 for the state and reason at hand',
    ['from', 'to', 'state', 'reason'],
    (gauge) => {
      gauge.reset();
      for (const { from, to, state, reason } of replicator.directions)
        gauge.set({ from, to, state, reason: reason ?? '' }, 1);
    },
  );
  metrics.gauge(
    'target_state',
    '1 for the state and reason at hand',
    ['target', 'state', 'reason'],
    (gauge) => {
      gauge.reset();
      for (const { target, state, reason } of replicator.targets)
        gauge.set({ target, state, reason: reason ?? '' }, 1);
    },
  );
  metrics.gauge('target_lag_seconds', 'From a commit at this site to the target', ['target'], (gauge) => {
    gauge.reset();
    for (const { target, lagMs: lag } of replicator.targets)
      if (lag !== null) gauge.set({ target }, lag / 1000);
  });
  each('lag_seconds', 'End-to-end lag by heartbeat', (d) => inSeconds(lagMs(d, Date.now(), heartbeatMs)));
  each('lag_bytes', 'WAL of the publisher not yet applied here', (d) =>
    d.currentLsn === 0n ? null : lagBytes(d.currentLsn, d.appliedLsn),
  );
  count('rows_received_total', 'Row events received', (d) => d.rowsReceived);
  count('rows_applied_total', 'Rows applied after conflation', (d) => d.rowsApplied);
  each('slot_retained_bytes', 'WAL that the slot holds at the publisher', (d) => d.slotRetainedBytes);
  each('slot_budget_bytes', 'WAL that it may hold before it is dropped on purpose', (d) => d.slotBudgetBytes);
  each('slot_eta_seconds', 'Until the budget is used up at the present rate', (d) => d.slotEtaSeconds);
  each('silence_seconds', 'Since the last message from the publisher', (d) =>
    d.receivedAtMs === null ? null : (Date.now() - d.receivedAtMs) / 1000,
  );
}

const inSeconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);
