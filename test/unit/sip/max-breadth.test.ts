import { describe, expect, it } from 'vitest';
import { maxBreadthOf, splitBreadth } from '../../../shared/sip/proxy/max-breadth.ts';
import { parsedRequest } from './messages.ts';

describe('RFC 5393 5.3 Max-Breadth', () => {
  it.each([
    [[], 60],
    [['Max-Breadth: 7'], 7],
    [['Max-Breadth: 0'], 0],
    [['Max-Breadth: 100000'], 60],
    [['Max-Breadth: many'], 60],
  ])('of %j is %d', (extra, expected) => {
    expect(maxBreadthOf(parsedRequest({ extra }))).toBe(expected);
  });

  it.each([
    [60, [], 1, { branches: 1, each: 30 }],
    [60, [30], 2, { branches: 2, each: 10 }],
    [60, [], 3, { branches: 3, each: 15 }],
    [3, [], 3, { branches: 3, each: 1 }],
    [1, [], 3, { branches: 1, each: 1 }],
    [1, [1], 1, { branches: 0, each: 1 }],
    [0, [], 1, { branches: 0, each: 1 }],
  ])('%d beside branches of %j goes to %d targets as %j', (breadth, pending, wanted, expected) => {
    expect(splitBreadth(breadth, pending, wanted)).toMatchObject(
      expected.branches === 0 ? { branches: 0 } : expected,
    );
  });

  it('is never more in whole than what came in, however many stages there are', () => {
    for (let breadth = 0; breadth <= 60; breadth++) {
      const pending: number[] = [];
      for (const wanted of [3, 2, 1, 5, 1]) {
        const { branches, each } = splitBreadth(breadth, pending, wanted);
        pending.push(...Array.from({ length: branches }, () => each));
      }
      expect(pending.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(breadth);
    }
  });
});
