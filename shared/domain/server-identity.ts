/** A server as its log names it: which cluster, and which of its histories (replication rules 1 and 28). */
export interface ServerIdentity {
  readonly systemIdentifier: string;
  readonly timeline: number;
}

/**
 * Rule 28: true for a server of the same cluster on an older timeline than was seen before. Somebody was promoted past
 * it, however alive it looks. Of another cluster nothing is known, so it is not below.
 */
export function isBelow(server: ServerIdentity, floor: ServerIdentity | null): boolean {
  return (
    floor !== null && server.systemIdentifier === floor.systemIdentifier && server.timeline < floor.timeline
  );
}

/** Of two sightings the one to remember: the newer timeline, or the later sighting of another cluster. */
export function raisedFloor(floor: ServerIdentity | null, seen: ServerIdentity): ServerIdentity {
  return floor !== null && isBelow(seen, floor) ? floor : seen;
}
