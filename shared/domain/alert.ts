/** What operators are told; the words are the same in commands, webhooks and mails. */
export type EventName =
  | 'replication-started'
  | 'replication-stopped'
  | 'needs-resync'
  | 'failover-begun'
  | 'failover-ended'
  | 'salvaged'
  | 'compare-differences'
  | 'clock-skew'
  | 'journal-in-use'
  | 'journal-drained'
  | 'slot-budget'
  | 'slot-budget-freed'
  | 'clock-right'
  | 'one-primary'
  | 'site-unreachable'
  | 'site-reachable'
  | 'primary-fenced'
  | 'two-primaries';

export interface LastcallEvent {
  readonly event: EventName;
  /** The site it is about. */
  readonly site: string;
  /** A direction's ends, where it is about one. */
  readonly from: string | null;
  readonly to: string | null;
  readonly reason: string | null;
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
}

/** `once`: it happened, and is over. */
export type Phase = 'begin' | 'reminder' | 'end' | 'once';

/** What is told, as it is sent: `id` is the same in every attempt, so that a receiver can drop repeats. */
export interface Notice extends LastcallEvent {
  readonly id: string;
  /** When it was found, RFC 3339. */
  readonly at: string;
  readonly phase: Phase;
  /** When the trouble began that this is about, RFC 3339; null for what has no duration. */
  readonly since: string | null;
  /** Events that were not told since the last one. */
  readonly withheld: number;
}

/** What a site's coordinator has told: `open` lasts still, the worst first; `recent` is all of it, the newest first. */
export interface Alerts {
  readonly open: readonly Notice[];
  readonly recent: readonly Notice[];
}

export function lastcallEvent(
  event: EventName,
  site: string,
  fields: Partial<Omit<LastcallEvent, 'event' | 'site'>> = {},
): LastcallEvent {
  return { event, site, from: null, to: null, reason: null, detail: {}, ...fields };
}

type Part = 'begin' | 'end';

/** What lasts, and what each event says of it; all others happen and are over. */
const TROUBLES: Partial<Record<EventName, readonly [trouble: string, part: Part]>> = {
  'replication-stopped': ['direction', 'begin'],
  'needs-resync': ['direction', 'begin'],
  'replication-started': ['direction', 'end'],
  'site-unreachable': ['site', 'begin'],
  'site-reachable': ['site', 'end'],
  'two-primaries': ['primaries', 'begin'],
  'one-primary': ['primaries', 'end'],
  'journal-in-use': ['journal', 'begin'],
  'journal-drained': ['journal', 'end'],
  'slot-budget': ['slot', 'begin'],
  'slot-budget-freed': ['slot', 'end'],
  'clock-skew': ['clock', 'begin'],
  'clock-right': ['clock', 'end'],
};

/** The trouble that an event begins or ends; null for one that does neither. */
export function troubleOf({ event, site, from, to }: LastcallEvent): { key: string; part: Part } | null {
  const [trouble, part] = TROUBLES[event] ?? [];
  return trouble && part ? { key: [trouble, site, from ?? '', to ?? ''].join(' '), part } : null;
}

/** What says that this trouble is over; null for an event that begins none. */
export function endOf(begin: LastcallEvent): LastcallEvent | null {
  const [trouble, part] = TROUBLES[begin.event] ?? [];
  if (part !== 'begin') return null;
  const ends = Object.entries(TROUBLES) as [EventName, readonly [string, Part]][];
  const end = ends.find(([, [of, its]]) => of === trouble && its === 'end')?.[0];
  return end ? lastcallEvent(end, begin.site, { from: begin.from, to: begin.to }) : null;
}

const CRITICAL: ReadonlySet<EventName> = new Set([
  'two-primaries',
  'site-unreachable',
  'needs-resync',
  'compare-differences',
]);

/** Told however much else is told: records, or the site, are in danger. */
export function isCritical({ event, reason, detail }: LastcallEvent): boolean {
  if (event === 'failover-ended') return reason === 'failed';
  if (event === 'journal-in-use') return Number(detail['inMemory'] ?? 0) > 0;
  return CRITICAL.has(event);
}
