/** Failovers that are running by name only: nobody holds a lease for them (rule 32). Pure. */
import type { Sightings } from './detect.ts';
import type { Observations } from './observe.ts';

export interface UnattendedFailover {
  /** The site in whose database it stands. */
  readonly at: string;
  readonly id: string;
}

export interface UnattendedOptions {
  /** The site whose coordinator this is: what stands there is taken up without waiting. */
  readonly home: string;
  readonly nowMs: number;
  /** The first of the other sites waits this long, the next one twice as long, and so on. */
  readonly patienceMs: number;
}

/** A flow between two tries holds none either: whoever takes it up meanwhile does no harm, it is the same flow. */
export function findUnattended(
  seen: Observations,
  before: Sightings,
  { home, nowMs, patienceMs }: UnattendedOptions,
): { readonly sightings: Sightings; readonly unattended: readonly UnattendedFailover[] } {
  const worked = new Set([...seen.values()].map(({ bookkeeping }) => bookkeeping?.flow));
  const sightings = new Map<string, number>();
  const unattended: UnattendedFailover[] = [];
  for (const { site: at, bookkeeping } of seen.values()) {
    if (at === home) continue;
    const place = [...seen.keys()].filter((site) => site !== at).sort();
    for (const { id } of bookkeeping?.runningFailovers ?? []) {
      if (worked.has(id)) continue;
      const sinceMs = before.get(id) ?? nowMs;
      sightings.set(id, sinceMs);
      if (nowMs - sinceMs >= patienceMs * (1 + place.indexOf(home))) unattended.push({ at, id });
    }
  }
  return { sightings, unattended };
}
