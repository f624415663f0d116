/** Transaction ids as the stream says them: 32 bits, counted round. */
const ROUND = 2n ** 32n;
const HALF = 2n ** 31n;

/**
 * Whether a snapshot, as `pg_current_snapshot()` prints it (`xmin:xmax:running,...`, 64 bits), sees all of these
 * transactions. A commit is streamed from the log a moment before other sessions see it.
 */
export function seesAll(snapshot: string, xids: Iterable<number>): boolean {
  const [, max = '0', list = ''] = snapshot.split(':');
  const xmax = BigInt(max);
  const running = new Set(list.split(',').filter(Boolean).map(BigInt));
  for (const xid of xids) {
    const full = nearest(BigInt(xid), xmax);
    if (full >= xmax || running.has(full)) return false;
  }
  return true;
}

/** The 64-bit id nearest to `to` whose low half is `xid`. */
function nearest(xid: bigint, to: bigint): bigint {
  const full = (to / ROUND) * ROUND + xid;
  if (full - to > HALF) return full - ROUND;
  return to - full > HALF ? full + ROUND : full;
}
