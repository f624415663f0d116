import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  callGroup,
  emptyLastCalls,
  GROUP_NAMES,
  later,
  mergeLastCalls,
} from '../../../shared/domain/last-calls.ts';
import { micros } from '../../../shared/domain/micros.ts';
import { aRow } from './arbitraries.ts';

const merge = mergeLastCalls;

describe('merging two rows of a terminal', () => {
  it('is idempotent', () => {
    fc.assert(
      fc.property(aRow, (row) => {
        expect(merge(row, row)).toEqual(row);
      }),
    );
  });

  it('is commutative', () => {
    fc.assert(
      fc.property(aRow, aRow, (a, b) => {
        expect(merge(a, b)).toEqual(merge(b, a));
      }),
    );
  });

  it('is associative', () => {
    fc.assert(
      fc.property(aRow, aRow, aRow, (a, b, c) => {
        expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
      }),
    );
  });

  it('S2 never makes a date older, and replaying a row changes nothing', () => {
    fc.assert(
      fc.property(aRow, aRow, (row, replayed) => {
        const once = merge(row, replayed);
        expect(merge(once, replayed)).toEqual(once);
        for (const group of GROUP_NAMES) {
          const before = row[group]?.at ?? Number.NEGATIVE_INFINITY;
          expect(once[group]?.at ?? Number.NEGATIVE_INFINITY).toBeGreaterThanOrEqual(before);
        }
      }),
    );
  });

  it('moves each group on its own, as a whole', () => {
    const a = { ...emptyLastCalls(7), dialed: callGroup(micros(5), { number: '1' }) };
    const b = {
      ...emptyLastCalls(7, 3),
      dialed: callGroup(micros(4), { number: '2', numberId: 9 }),
      received: callGroup(micros(1)),
    };
    expect(merge(a, b)).toEqual({ ...emptyLastCalls(7, 3), dialed: a.dialed, received: b.received });
  });

  it('takes the later of two instants, and the one that is known', () => {
    expect(later(micros(1), micros(2))).toBe(2);
    expect(later(null, micros(2))).toBe(2);
    expect(later(micros(1), null)).toBe(1);
    expect(later(null, null)).toBeNull();
  });
});
