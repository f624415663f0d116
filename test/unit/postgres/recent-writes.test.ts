import { expect, test } from 'vitest';
import { callGroup, emptyLastCalls, type LastCalls } from '../../../shared/domain/last-calls.ts';
import { micros } from '../../../shared/domain/micros.ts';
import { RecentWrites } from '../../../shared/postgres/last-calls/recent-writes.ts';

const dialed = (terminalId: number, at: number): LastCalls => ({
  ...emptyLastCalls(terminalId),
  dialed: callGroup(micros(at), { number: `${at}` }),
});
const minutes = (count: number) => count * 60_000;

test('a write is remembered for at least a minute and at most two', () => {
  let nowMs = 0;
  const recent = new RecentWrites(() => nowMs);
  recent.keep([dialed(1, 1)]);
  nowMs = minutes(1);
  recent.keep([dialed(2, 2)]);
  expect(recent.all().map(({ terminalId }) => terminalId)).toEqual([1, 2]);
  nowMs = minutes(2);
  recent.keep([dialed(3, 3)]);
  expect(recent.all().map(({ terminalId }) => terminalId)).toEqual([2, 3]);
});

test('of one terminal the newer group is remembered, over generations too', () => {
  let nowMs = 0;
  const recent = new RecentWrites(() => nowMs);
  recent.keep([dialed(1, 5)]);
  nowMs = minutes(1);
  recent.keep([dialed(1, 4)]);
  expect(recent.find(1)?.dialed?.number).toBe('5');
});

test('memory is bounded by terminals, however fast they come', () => {
  const recent = new RecentWrites(() => 0);
  for (let id = 1; id <= 200_000; id += 500)
    recent.keep(Array.from({ length: 500 }, (_, index) => dialed(id + index, id)));
  expect(recent.all().length).toBeLessThanOrEqual(101_000);
});
