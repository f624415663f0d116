import type { EventName } from '../../shared/domain/alert.ts';
import { alertText } from './alert-texts.ts';
import type { Alerts, Direction, Failover, Readiness } from './answers.ts';
import { duration } from './formats.ts';

/** Something that wants the operator's eye. */
export interface Finding {
  readonly severity: 'fault' | 'notice';
  readonly text: string;
  /** The view that says more. */
  readonly view: 'replication' | 'failovers' | 'overview' | 'alerts';
}

const SLOW_MS = 5_000;
const RECENT_MS = 3_600_000;

export interface Seen {
  readonly site: string;
  readonly health: Readiness | null;
  readonly directions: readonly Direction[];
  readonly failovers: readonly Failover[];
  readonly alerts: Alerts | null;
  readonly nowMs: number;
}

/** What is wrong now, the worst first; nothing when all is well. */
export function findings({ alerts, directions, failovers, health, nowMs, site }: Seen): Finding[] {
  const found = [
    ...Object.entries(health?.checks ?? {})
      .filter(([, { state }]) => state !== 'up')
      .map(
        ([name, { reason, state }]): Finding => ({
          severity: state === 'down' ? 'fault' : 'notice',
          text: `${PART_NAMES[name] ?? name} of site ${site} is ${state}${reason ? `: ${reason}` : ''}`,
          view: 'overview',
        }),
      ),
    ...(alerts?.open ?? [])
      .filter(({ event }) => ONLY_TOLD[event] !== undefined)
      .map(
        (notice): Finding => ({
          severity: ONLY_TOLD[notice.event] ?? 'notice',
          text: alertText(notice).what,
          view: 'alerts',
        }),
      ),
    ...directions.flatMap(directionFindings),
    ...failovers
      .filter(({ state }) => state === 'running')
      .map(
        (failover): Finding => ({
          severity: 'notice',
          text: `A failover of site ${failover.site} is under way`,
          view: 'failovers',
        }),
      ),
    ...failovers
      .filter(({ endedAt, state }) => state === 'failed' && nowMs - Date.parse(endedAt ?? '') < RECENT_MS)
      .map(
        (failover): Finding => ({
          severity: 'fault',
          text: `The failover of site ${failover.site} failed: ${failover.error ?? 'no reason given'}`,
          view: 'failovers',
        }),
      ),
  ];
  return found.sort((x, y) => Number(y.severity === 'fault') - Number(x.severity === 'fault'));
}

/** What the coordinator alone sees; the rest of what it reports is found here from the state itself. */
const ONLY_TOLD: Partial<Record<EventName, Finding['severity']>> = {
  'site-unreachable': 'fault',
  'two-primaries': 'fault',
  'clock-skew': 'notice',
};

export const PART_NAMES: Readonly<Record<string, string>> = {
  postgres: 'PostgreSQL',
  redis: 'Redis',
  journal: 'Journal',
};

function directionFindings(direction: Direction): Finding[] {
  const { from, lagMs, paused, reason, slot, state, to } = direction;
  const view = 'replication';
  if (paused) return [{ severity: 'notice', text: `The copy of ${from} at ${to} is paused`, view }];
  if (state === 'stopped' || state === 'needs-resync') {
    const why = reason ? ` (${reason})` : '';
    return [{ severity: 'fault', text: `The copy of ${from} at ${to} stands still${why}`, view }];
  }
  if (state === 'resyncing')
    return [{ severity: 'notice', text: `The copy of ${from} at ${to} is being made anew`, view }];
  const found: Finding[] = [];
  if (lagMs !== null && lagMs > SLOW_MS)
    found.push({
      severity: 'notice',
      text: `The copy of ${from} at ${to} is ${duration(lagMs)} behind`,
      view,
    });
  if (slot.retainedBytes && slot.budgetBytes && slot.retainedBytes > slot.budgetBytes / 2)
    found.push({
      severity: 'notice',
      text: `More than half of the WAL budget from ${from} to ${to} is used`,
      view,
    });
  return found;
}
