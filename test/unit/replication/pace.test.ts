import { expect, test } from 'vitest';
import { Pace } from '../../../shared/postgres/replication/pace.ts';

/** The gap after a second of batches of `rows`, `everyMs` apart, each taking `tookMs`. */
function gapAfterASecond(rows: number, everyMs: number, tookMs: number): number {
  const pace = new Pace();
  let gapMs = 0;
  for (let nowMs = 1_000; nowMs < 2_000; nowMs += everyMs) {
    gapMs = pace.gapAfter(rows, nowMs);
    pace.took(tookMs);
  }
  return gapMs;
}

test('while the machine has time each change goes at once', () => {
  expect(gapAfterASecond(1, 0.5, 0.4)).toBe(0);
});

test('at a high rate batches leave a gap, and never a long one', () => {
  expect(gapAfterASecond(10, 2, 0.4)).toBeGreaterThan(2);
  expect(gapAfterASecond(1_000, 2, 0.4)).toBe(8);
});

test('batches that take long on a busy machine come less often, at any rate', () => {
  expect(gapAfterASecond(1, 2, 2)).toBeGreaterThan(2);
  expect(gapAfterASecond(1, 2, 50)).toBe(8);
});
