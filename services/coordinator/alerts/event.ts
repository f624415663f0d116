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
  | 'site-unreachable'
  | 'site-reachable'
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

export function lastcallEvent(
  event: EventName,
  site: string,
  fields: Partial<Omit<LastcallEvent, 'event' | 'site'>> = {},
): LastcallEvent {
  return { event, site, from: null, to: null, reason: null, detail: {}, ...fields };
}

/** Events with the same key are one and the same trouble. */
export function eventKey({ event, site, from, to, reason }: LastcallEvent): string {
  return [event, site, from ?? '', to ?? '', reason ?? ''].join(' ');
}
