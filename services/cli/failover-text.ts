import type { Failover, FailoverReport } from '../../shared/domain/failover.ts';
import { formatTimestamptz, type Micros } from '../../shared/domain/micros.ts';
import { millisecondsText, momentText, table } from './table.ts';

function took(from: Micros, to: Micros | null): string | null {
  return to === null ? null : millisecondsText((to - from) / 1000);
}

export function failoverTable(failovers: readonly Failover[]): string {
  if (failovers.length === 0) return 'no failover has been asked for';
  const rows = failovers.map((f) => [
    f.id,
    f.site,
    f.state,
    f.reason,
    f.requestedBy,
    f.salvagedRows,
    momentText(formatTimestamptz(f.requestedAt)),
    took(f.requestedAt, f.endedAt),
  ]);
  return table(['id', 'site', 'state', 'reason', 'by', 'salvaged', 'asked at (UTC)', 'took'], rows);
}

export function failoverReportText(report: FailoverReport): string {
  const rows = report.steps.map((step) => [
    step.direction,
    step.step,
    step.state,
    step.attempts,
    took(step.startedAt, step.endedAt),
    detailText(step.detail),
  ]);
  const steps =
    rows.length === 0
      ? 'no step has begun'
      : table(['direction', 'step', 'state', 'attempts', 'took', 'detail'], rows);
  return `${failoverTable([report])}\n${report.error ? `error: ${report.error}\n` : ''}\n${steps}`;
}

function detailText(detail: Readonly<Record<string, unknown>>): string | null {
  const pairs = Object.entries(detail).map(
    ([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return pairs.length === 0 ? null : pairs.join(', ');
}
