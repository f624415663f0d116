/** How long what comes in waits for its turn, as seen when it is taken. Times in monotonic milliseconds. */
export interface StandingQueue {
  /** The first of the requests taken late in a row, without the queue having been empty or short in between; null when there is none. */
  readonly sinceMs: number | null;
  /** How many those are. */
  readonly late: number;
  readonly lastMs: number;
}

export const NO_QUEUE: StandingQueue = { sinceMs: null, late: 0, lastMs: Number.NEGATIVE_INFINITY };

/** A queue shorter than this is no queue: a collection of garbage makes one. */
export const TARGET_MS = 100;
/** A burst that is worked off within this refuses nobody. */
const STANDING_MS = 500;
/** Fewer requests refuse nobody, however long they take. Registrations come last, and are repeated while they wait. */
export const MANY = { calls: 200, registrations: 1_000 } as const;

/** The queue after a request was taken from it that had waited for `waitedMs`. */
export function afterTaking(queue: StandingQueue, waitedMs: number, nowMs: number): StandingQueue {
  if (waitedMs < TARGET_MS) return queue.sinceMs === null ? queue : { ...NO_QUEUE, lastMs: nowMs };
  const wasEmpty = nowMs - waitedMs > queue.lastMs;
  if (queue.sinceMs === null || wasEmpty) return { sinceMs: nowMs, late: 1, lastMs: nowMs };
  return { sinceMs: queue.sinceMs, late: queue.late + 1, lastMs: nowMs };
}

/**
 * Whether a request that has waited for so long is better refused at once: the queue does not get shorter by itself, and
 * served late each request in it would be as late as this one (after CoDel, RFC 8289).
 */
export function isTooLate(
  { sinceMs, late }: StandingQueue,
  waitedMs: number,
  nowMs: number,
  kind: keyof typeof MANY = 'calls',
): boolean {
  return waitedMs >= TARGET_MS && late >= MANY[kind] && sinceMs !== null && nowMs - sinceMs >= STANDING_MS;
}
