import { expect, test } from 'vitest';
import type { Sightings } from '../../../services/coordinator/detect.ts';
import type { Observations } from '../../../services/coordinator/observe.ts';
import type { Bookkeeping } from '../../../services/coordinator/site-state.ts';
import { findUnattended } from '../../../services/coordinator/unattended.ts';
import { observation, observations, siteView } from './views.ts';

const RUNNING = { runningFailovers: [{ id: 'f-1', site: 'b' }] };

function sites(a: Partial<Bookkeeping>, b: Partial<Bookkeeping> = {}): Observations {
  const [atA, atB] = [observation(siteView('a', 'b')), observation(siteView('b', 'a'))];
  return observations(
    { ...atA, bookkeeping: { ...(atA.bookkeeping as Bookkeeping), ...a } },
    { ...atB, bookkeeping: { ...(atB.bookkeeping as Bookkeeping), ...b } },
    observation(siteView('c', 'a')),
  );
}

/** Looks once a second, for as long as `seen` says; the second at which it was taken up. */
function takenUpAfter(seen: (second: number) => Observations, home: string): number | null {
  let sightings: Sightings = new Map();
  for (let second = 0; second <= 20; second++) {
    const found = findUnattended(seen(second), sightings, { home, nowMs: second * 1_000, patienceMs: 2_000 });
    if (found.unattended.length > 0) {
      expect(found.unattended).toEqual([{ at: 'a', id: 'f-1' }]);
      return second;
    }
    sightings = found.sightings;
  }
  return null;
}

test.each<readonly [string, (second: number) => Observations, string, number | null]>([
  ["rule 32 a row of the own database is the runner's", () => sites(RUNNING), 'a', null],
  ['rule 32 the first of the other sites takes a row that nobody works on', () => sites(RUNNING), 'b', 2],
  ['rule 32 the next one waits longer', () => sites(RUNNING), 'c', 4],
  ['rule 32 not while its own site holds the lease', () => sites({ ...RUNNING, flow: 'f-1' }), 'b', null],
  ['rule 32 nor while any site does', () => sites(RUNNING, { flow: 'f-1' }), 'b', null],
  ["rule 32 another flow's lease is not its own", () => sites({ ...RUNNING, flow: 'f-2' }), 'b', 2],
  [
    'rule 32 each lease begins the waiting anew',
    (second) => sites(RUNNING, { flow: second < 7 ? 'f-1' : null }),
    'b',
    9,
  ],
])('%s', (_name, seen, home, after) => {
  expect(takenUpAfter(seen, home)).toBe(after);
});
