import { expect, test } from 'vitest';
import {
  type DetectedFailover,
  detectFailovers,
  type Sightings,
} from '../../../services/coordinator/detect.ts';
import type { Observations } from '../../../services/coordinator/observe.ts';
import type { Bookkeeping } from '../../../services/coordinator/site-state.ts';
import { at, observation, observations, siteView } from './views.ts';

const SETTLE_MS = 2_000;

/** Site a was promoted; b's copies are of the server before. */
function promoted(changes: { a?: Partial<Bookkeeping>; b?: Partial<Bookkeeping> } = {}): Observations {
  const a = observation(
    siteView('a', 'b', { timeline: 2, switchPoints: new Map([[1, at('0/250')]]), slots: new Map() }),
  );
  const b = observation(siteView('b', 'a'));
  return observations(
    { ...a, bookkeeping: { ...(a.bookkeeping as Bookkeeping), ...changes.a } },
    { ...b, bookkeeping: { ...(b.bookkeeping as Bookkeeping), ...changes.b } },
  );
}

/** Looks once a second until something is asked for; the second and what it was. */
function firstRequest(
  seen: Observations,
  home: string,
  seconds = 30,
): { after: number; requests: readonly DetectedFailover[] } | null {
  let sightings: Sightings = new Map();
  for (let after = 0; after <= seconds; after++) {
    const detection = detectFailovers(seen, sightings, { home, nowMs: after * 1_000, settleMs: SETTLE_MS });
    if (detection.requests.length > 0) return { after, requests: detection.requests };
    sightings = detection.sightings;
  }
  return null;
}

test('sites that stream ask for nothing', () => {
  expect(
    firstRequest(observations(observation(siteView('a', 'b')), observation(siteView('b', 'a'))), 'a'),
  ).toBeNull();
});

test("a promotion is acted on by the site's own coordinator after a quarter of the settling time, later by others", () => {
  expect(firstRequest(promoted(), 'a')).toEqual({
    after: 1,
    requests: [{ site: 'a', reason: 'timeline-changed' }],
  });
  expect(firstRequest(promoted(), 'b')).toEqual({
    after: 6,
    requests: [{ site: 'a', reason: 'timeline-changed' }],
  });
});

test('a change that goes away again is forgotten', () => {
  const options = { home: 'a', settleMs: SETTLE_MS };
  const first = detectFailovers(promoted(), new Map(), { ...options, nowMs: 0 });
  const gone = detectFailovers(observations(observation(siteView('a', 'b'))), first.sightings, {
    ...options,
    nowMs: 1_000,
  });
  const again = detectFailovers(promoted(), gone.sightings, { ...options, nowMs: 2_500 });
  expect(again.requests).toEqual([]);
});

test('one event makes one failover: what is under way at either site is left alone', () => {
  const running = { runningFailovers: [{ id: 'x', site: 'a' }] };
  expect(firstRequest(promoted({ a: running }), 'b')).toBeNull();
  expect(firstRequest(promoted({ b: running }), 'a')).toBeNull();
});

test('a failover that failed lately for this lineage is not begun again and again', () => {
  expect(firstRequest(promoted({ b: { recentFailures: [{ site: 'a', timeline: 2 }] } }), 'a')).toBeNull();
  expect(firstRequest(promoted({ b: { recentFailures: [{ site: 'a', timeline: 1 }] } }), 'a')).not.toBeNull();
});

test('a fence whose failover is gone, with the database that knew it, is lifted by a new one', () => {
  const a = observation(siteView('a', 'b'));
  const b = observation(siteView('b', 'a', { fencedBy: new Map([['a', 'gone']]) }));
  expect(firstRequest(observations(a, b), 'a')?.requests).toEqual([{ site: 'a', reason: 'fence-left' }]);
  const known = { ...(a.bookkeeping as Bookkeeping), runningFailovers: [{ id: 'gone', site: 'b' }] };
  expect(firstRequest(observations({ ...a, bookkeeping: known }, b), 'a')).toBeNull();
  const away = observation({ site: 'c', reachable: false, reason: 'away' });
  expect(firstRequest(observations(a, b, away), 'a'), 'a site that is away may run it').toBeNull();
});

test('rows that a replicator refuses to lose are salvaged', () => {
  const a = observation(siteView('a', 'b'));
  const b = observation(siteView('b', 'a'));
  const statuses = [{ peer: 'a', state: 'needs-resync', reason: 'rows-only-here' }];
  const seen = observations(a, { ...b, bookkeeping: { ...(b.bookkeeping as Bookkeeping), statuses } });
  expect(firstRequest(seen, 'a')?.requests).toEqual([{ site: 'a', reason: 'rows-only-here' }]);
});
