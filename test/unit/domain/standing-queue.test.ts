import { expect, it } from 'vitest';
import {
  afterTaking,
  isTooLate,
  NO_QUEUE,
  type StandingQueue,
  TARGET_MS,
} from '../../../shared/domain/standing-queue.ts';

/** Requests taken one every 3 ms, each after the same wait. */
const taken = (count: number, waitedMs: number, fromMs = 0, queue: StandingQueue = NO_QUEUE): StandingQueue =>
  Array.from({ length: count }).reduce<StandingQueue>(
    (now, _, index) => afterTaking(now, waitedMs, fromMs + index * 3),
    queue,
  );

it('a request that hardly waited is never too late', () => {
  expect(isTooLate(taken(1_000, TARGET_MS - 1), TARGET_MS - 1, 10_000)).toBe(false);
});

it('a burst refuses nobody while its queue may still be worked off', () => {
  expect(isTooLate(taken(150, 300), 300, 447)).toBe(false);
});

it('a queue that stands makes what waited in it too late', () => {
  expect(isTooLate(taken(201, 150), 150, 600)).toBe(true);
});

it('registrations, which come last and are repeated, need a longer queue', () => {
  expect(isTooLate(taken(999, 150), 150, 3_000, 'registrations')).toBe(false);
  expect(isTooLate(taken(1_000, 150), 150, 3_000, 'registrations')).toBe(true);
});

it('in a standing queue a request that waited little is served all the same', () => {
  expect(isTooLate(taken(201, 150), TARGET_MS - 1, 600)).toBe(false);
});

it('a few requests are never too late, however slow the machine is', () => {
  const slow = Array.from({ length: 150 }).reduce<StandingQueue>(
    (now, _, index) => afterTaking(now, 2_000, index * 100),
    NO_QUEUE,
  );
  expect(isTooLate(slow, 2_000, 14_900)).toBe(false);
});

it('a queue that was empty in between does not stand: each stall begins anew', () => {
  const stalls = Array.from({ length: 500 }).reduce<StandingQueue>(
    (now, _, index) => afterTaking(now, 150, index * 1_000),
    NO_QUEUE,
  );
  expect(isTooLate(stalls, 150, 499_000)).toBe(false);
});

it('one request that hardly waited shows that the queue is gone', () => {
  const stood = taken(201, 150);
  expect(taken(1, 5, 610, stood)).toMatchObject({ sinceMs: null, late: 0 });
  expect(isTooLate(taken(1, 150, 620, taken(1, 5, 610, stood)), 150, 620)).toBe(false);
});
