import type { LastcallEvent } from '../../shared/domain/alert.ts';
import type { Metrics } from '../../shared/runtime/metrics.ts';
import type { Observations } from './observe.ts';
import type { FailoverEnd } from './runner.ts';
import type { StepBoundary } from './steps.ts';

export interface CoordinatorMetrics {
  readonly onBoundary: (boundary: StepBoundary) => void;
  readonly onEnded: (site: string, end: FailoverEnd) => void;
  readonly onEvent: (event: LastcallEvent) => void;
}

const STEP_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

/** `lastcall_failover*`, `lastcall_site_*` and `lastcall_events_total`. */
export function coordinatorMetrics(
  metrics: Metrics,
  observations: () => Observations | null,
): CoordinatorMetrics {
  const failovers = metrics.counter('failovers_total', 'Failovers ended', ['site', 'result']);
  const steps = metrics.histogram('failover_step_seconds', 'Time of a failover step', STEP_SECONDS, ['step']);
  const events = metrics.counter('events_total', 'Events, told or withheld', ['event']);
  metrics.gauge('site_reachable', '1 while the site has a primary that answers', ['site'], (gauge) => {
    gauge.reset();
    for (const { site, view } of observations()?.values() ?? []) gauge.set({ site }, view.reachable ? 1 : 0);
  });
  metrics.gauge('site_timeline', "Timeline of the site's primary", ['site'], (gauge) => {
    gauge.reset();
    for (const { site, view } of observations()?.values() ?? []) {
      if (view.reachable) gauge.set({ site }, view.timeline);
    }
  });
  return {
    onBoundary: ({ step, at, tookMs }) => {
      if (at === 'recorded') steps.observe({ step }, tookMs / 1000);
    },
    onEnded: (site, end) => failovers.inc({ site, result: end }),
    onEvent: ({ event }) => events.inc({ event }),
  };
}
