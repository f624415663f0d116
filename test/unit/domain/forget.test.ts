import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FORGET_SCOPES,
  forgottenUntil,
  isForgetScope,
  withoutForgotten,
} from '../../../shared/domain/forget.ts';
import { callGroup, emptyLastCalls, GROUP_NAMES } from '../../../shared/domain/last-calls.ts';
import { micros } from '../../../shared/domain/micros.ts';
import { aMark, aRow } from './arbitraries.ts';

const ROW = {
  ...emptyLastCalls(7),
  dialed: callGroup(micros(5), { number: '1' }),
  received: callGroup(micros(5), { number: '2' }),
  terminated: callGroup(micros(5), { number: '3' }),
};

describe('forget marks', () => {
  it.each([
    ['terminal', []],
    ['all', []],
    ['dialed', ['received', 'terminated']],
    ['received', ['dialed', 'terminated']],
    ['terminated', ['dialed', 'received']],
  ] as const)('C9 a mark of scope %s leaves %j', (scope, left) => {
    const row = withoutForgotten(ROW, [{ scope, forgottenAt: micros(5) }]);
    expect(GROUP_NAMES.filter((group) => row[group] !== null)).toEqual(left);
  });

  it('C9 what is one microsecond newer than the mark stays', () => {
    expect(withoutForgotten(ROW, [{ scope: 'all', forgottenAt: micros(4) }])).toEqual(ROW);
  });

  it('of several marks the newest that covers the group counts', () => {
    const marks = [
      { scope: 'all', forgottenAt: micros(3) },
      { scope: 'received', forgottenAt: micros(9) },
      { scope: 'dialed', forgottenAt: micros(2) },
    ] as const;
    expect(forgottenUntil('dialed', marks)).toBe(3);
    expect(forgottenUntil('received', marks)).toBe(9);
    expect(forgottenUntil('dialed', [])).toBe(Number.NEGATIVE_INFINITY);
  });

  it('applied again, or in another order, change nothing', () => {
    fc.assert(
      fc.property(aRow, fc.array(aMark, { maxLength: 3 }), (row, marks) => {
        const once = withoutForgotten(row, marks);
        expect(withoutForgotten(once, marks.toReversed())).toEqual(once);
        expect(marks.reduce((left, mark) => withoutForgotten(left, [mark]), row)).toEqual(once);
      }),
    );
  });

  it('know their scopes and nothing else', () => {
    expect(FORGET_SCOPES.every(isForgetScope)).toBe(true);
    expect(['', 'All', 'everything'].some(isForgetScope)).toBe(false);
  });
});
