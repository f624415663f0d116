import type { EventName } from '../../shared/domain/alert.ts';
import type { Notice } from './answers.ts';
import { bytes, duration } from './formats.ts';

/** What an event means, for who has not read docs/operations/alerts.md, and what to do about it while it lasts. */
export interface AlertText {
  readonly what: string;
  readonly advice: string | null;
}

type Texts = (notice: Notice) => readonly [what: string, advice?: string];

const TEXTS: Readonly<Record<EventName, Texts>> = {
  'site-unreachable': ({ site }) => [
    `No database of site ${site} takes writes`,
    'Calls go on, and their records are kept. Promote a standby, or mend the link.',
  ],
  'site-reachable': ({ site }) => [`The database of site ${site} takes writes again`],
  'two-primaries': ({ detail, site }) => [
    `Two databases of site ${site} take writes: ${detail['hosts']}`,
    'The older one is fenced and what it alone holds is brought back. Stop it and rejoin it as a standby.',
  ],
  'one-primary': ({ site }) => [`Site ${site} has one primary again`],
  'replication-stopped': ({ from, to }) => [
    `The copy of ${from} at ${to} stands still`,
    'The reason says why; it goes on by itself when the cause is gone.',
  ],
  'replication-started': ({ from, to }) => [`The copy of ${from} at ${to} gets changes`],
  'needs-resync': ({ from, to }) => [
    `The copy of ${from} at ${to} must be made anew`,
    'It is done without you. If it stays so, look at the failovers.',
  ],
  'journal-in-use': ({ detail, site }) => [
    detail['records'] === 1
      ? `A record of site ${site} waits for PostgreSQL`
      : `${detail['records']} records of site ${site} wait for PostgreSQL`,
    Number(detail['inMemory'] ?? 0) > 0
      ? 'Some are in the ring file of one process alone: bring Redis back first, and restart nothing.'
      : 'Bring PostgreSQL back: they are written then.',
  ],
  'journal-drained': ({ site }) => [`All records of site ${site} are in its table`],
  'slot-budget': ({ detail, to }) => [
    `WAL for site ${to} has used ${detail['usedPercent']} % of what may be kept (${bytes(Number(detail['retainedBytes']))})`,
    `Bring the replicator of site ${to} back before its slot is dropped.`,
  ],
  'slot-budget-freed': ({ to }) => [`The WAL kept for site ${to} is well within what may be kept`],
  'clock-skew': ({ detail, site }) => [
    `The clock of site ${site}'s database is ${duration(Math.abs(Number(detail['skewMs'])))} off`,
    'Correct NTP on that host: the newest date wins, so a wrong clock may hide newer calls.',
  ],
  'clock-right': ({ site }) => [`The clock of site ${site}'s database is right again`],
  'failover-begun': ({ site }) => [`A failover of site ${site} has begun`],
  'failover-ended': ({ reason, site }) => [
    reason === 'failed'
      ? `The failover of site ${site} has failed`
      : `The failover of site ${site} has ended`,
  ],
  salvaged: ({ site }) => [`What the new primary of site ${site} lacked was brought back`],
  'compare-differences': ({ site }) => [`After the failover of site ${site} rows differ`],
  'primary-fenced': ({ detail, site }) => [
    `The former primary of site ${site} (${detail['host']}) takes no more writes`,
  ],
};

/** A coordinator that is newer than this page may know other events. */
export function alertText(notice: Notice): AlertText {
  const [what, advice = null] = TEXTS[notice.event]?.(notice) ?? [notice.event];
  return { what, advice };
}
