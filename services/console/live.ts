import { useEffect, useState } from 'preact/hooks';
import type { Direction, Failover, Readiness, Replication } from './answers.ts';
import type { ApiClient } from './api-client.ts';

const EVERY_MS = 1_000;
const KEPT_SAMPLES = 900;

/** One direction over time; `at` in Unix seconds, null where nothing was known. */
export interface Series {
  readonly at: number[];
  readonly lagMs: (number | null)[];
  readonly rowsPerSecond: (number | null)[];
}

/** The state of the sites, a second old at most. */
export interface Live {
  readonly nowMs: number;
  readonly directions: readonly Direction[];
  readonly failovers: readonly Failover[];
  readonly health: Readiness | null;
  /** By `a>b`, since the page was opened. */
  readonly series: ReadonlyMap<string, Series>;
  /** Why the last look failed; the rest is from before then. */
  readonly fault: string | null;
  readonly loaded: boolean;
}

const nothingYet = (): Live => ({
  nowMs: Date.now(),
  directions: [],
  failovers: [],
  health: null,
  series: new Map(),
  fault: null,
  loaded: false,
});

/** Looks every second while the page is open. */
export function useLive(client: ApiClient): Live {
  const [live, setLive] = useState(nothingYet);
  useEffect(() => {
    let timer: number | undefined;
    let current = nothingYet();
    let ended = false;
    const look = async (): Promise<void> => {
      current = await observe(client, current);
      if (ended) return;
      setLive(current);
      timer = setTimeout(look, EVERY_MS);
    };
    void look();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [client]);
  return live;
}

async function observe(client: ApiClient, before: Live): Promise<Live> {
  const [replication, failovers, health] = await Promise.allSettled([
    client.get<Replication>('/v1/replication'),
    client.get<{ failovers: Failover[] }>('/v1/failovers?limit=50'),
    client.get<Readiness>('/readyz'),
  ]);
  const nowMs = Date.now();
  const rejected = [replication, failovers, health].find((result) => result.status === 'rejected');
  const directions = replication.status === 'fulfilled' ? replication.value.directions : before.directions;
  if (replication.status === 'fulfilled') sample(before.series, before.directions, directions, nowMs);
  return {
    nowMs,
    directions,
    failovers: failovers.status === 'fulfilled' ? failovers.value.failovers : before.failovers,
    health: health.status === 'fulfilled' ? health.value : null,
    series: before.series,
    fault: rejected ? String((rejected.reason as Error).message) : null,
    loaded: true,
  };
}

export const labelOf = ({ from, to }: Pick<Direction, 'from' | 'to'>): string => `${from}>${to}`;

function sample(
  series: ReadonlyMap<string, Series>,
  before: readonly Direction[],
  now: readonly Direction[],
  nowMs: number,
): void {
  for (const direction of now) {
    const label = labelOf(direction);
    const known = series.get(label) ?? { at: [], lagMs: [], rowsPerSecond: [] };
    (series as Map<string, Series>).set(label, known);
    const earlier = before.find((each) => labelOf(each) === label);
    const elapsed = nowMs / 1000 - (known.at.at(-1) ?? 0);
    const rows = earlier ? direction.rowsApplied - earlier.rowsApplied : null;
    known.at.push(nowMs / 1000);
    known.lagMs.push(direction.lagMs);
    // A replicator that started again counts from zero.
    known.rowsPerSecond.push(rows === null || rows < 0 ? null : rows / elapsed);
    for (const values of [known.at, known.lagMs, known.rowsPerSecond])
      if (values.length > KEPT_SAMPLES) values.shift();
  }
}
