import { useEffect, useState } from 'preact/hooks';
import type { Alerts, Direction, Failover, FailoverReport, Readiness, Replication } from './answers.ts';
import type { ApiClient } from './api-client.ts';
import { readEvents } from './event-stream.ts';
import { addSample, type Series } from './series.ts';

const EVERY_MS = 1_000;
/** Between attempts to have the stream again; meanwhile the page asks. */
const AGAIN_MS = 5_000;
const PATIENCE_MS = 3_000;

/** The state of the sites, as this site's api tells it. */
export interface Live {
  readonly nowMs: number;
  readonly directions: readonly Direction[];
  readonly failovers: readonly Failover[];
  /** Of those that run and the latest, by id. */
  readonly reports: ReadonlyMap<string, FailoverReport>;
  readonly health: Readiness | null;
  /** Null while nobody can read them. */
  readonly alerts: Alerts | null;
  /** Another number whenever terminals have changed. */
  readonly terminalChanges: number;
  /** By `a>b`, since the page was opened. */
  readonly series: Map<string, Series>;
  /** Why nothing new is known; the rest is from before then. */
  readonly fault: string | null;
  readonly loaded: boolean;
}

const nothingYet = (): Live => ({
  nowMs: Date.now(),
  directions: [],
  failovers: [],
  reports: new Map(),
  health: null,
  alerts: null,
  terminalChanges: 0,
  series: new Map(),
  fault: null,
  loaded: false,
});

/** What each event of `/v1/events` brings; as JSON, and of the same form as the address it is named after answers. */
function withEvent(live: Live, event: string, data: unknown): Live {
  switch (event) {
    case 'directions':
      return { ...live, directions: (data as Replication).directions, loaded: true };
    case 'failovers':
      return { ...live, failovers: (data as { failovers: Failover[] }).failovers };
    case 'failover': {
      const report = data as FailoverReport;
      return { ...live, reports: new Map(live.reports).set(report.id, report) };
    }
    case 'readiness':
      return { ...live, health: data as Readiness };
    case 'alerts':
      return { ...live, alerts: data as Alerts };
    case 'terminals':
      return { ...live, terminalChanges: (data as { changes: number }).changes };
    default:
      return live;
  }
}

/** Told by the api while the page is open. Where no stream can be had, the page asks every second. */
export function useLive(client: ApiClient): Live {
  const [live, setLive] = useState(nothingYet);
  useEffect(() => {
    const page = new AbortController();
    let current = nothingYet();
    let streaming = false;
    let failed = false;
    const began = Date.now();
    const take = (event: string, data: unknown): void => {
      current = withEvent({ ...current, fault: null, nowMs: Date.now() }, event, data);
      setLive(current);
    };
    const stream = async (): Promise<void> => {
      while (!page.signal.aborted) {
        await readEvents(
          (signal) => client.stream('/v1/events', signal),
          ({ data, event }) => {
            streaming = true;
            take(event, JSON.parse(data));
          },
          page.signal,
        ).catch(() => {});
        streaming = false;
        failed = true;
        await pause(AGAIN_MS);
      }
    };
    const tick = async (): Promise<void> => {
      while (!page.signal.aborted) {
        // A proxy on the way may hold a stream back for ever.
        if (!streaming && (failed || Date.now() - began > PATIENCE_MS)) {
          const fault = await ask(client, current, take);
          current = { ...current, fault, loaded: true };
        }
        addSample(current.series, current.directions, Date.now());
        current = { ...current, nowMs: Date.now() };
        if (!page.signal.aborted) setLive(current);
        await pause(EVERY_MS);
      }
    };
    void stream();
    void tick();
    return () => page.abort();
  }, [client]);
  return live;
}

/** The same by asking; returns what failed of it. */
async function ask(
  client: ApiClient,
  { failovers }: Live,
  take: (event: string, data: unknown) => void,
): Promise<string | null> {
  const running = failovers.filter(({ state }) => state === 'running');
  const asked: readonly [event: string, path: string][] = [
    ['directions', '/v1/replication'],
    ['failovers', '/v1/failovers?limit=20'],
    ['readiness', '/readyz'],
    ['alerts', '/v1/alerts'],
    ...running.map(({ id }): [string, string] => ['failover', `/v1/failovers/${id}`]),
  ];
  const faults = await Promise.all(
    asked.map(([event, path]) =>
      client.get(path).then(
        (data) => take(event, data),
        ({ message }: Error) => message,
      ),
    ),
  );
  return faults.find((fault) => typeof fault === 'string') ?? null;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
