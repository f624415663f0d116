import { expect, test } from 'vitest';
import { type Lsn, lsn } from '../../../shared/domain/lsn.ts';
import { judgeSlot, type SlotVerdict } from '../../../shared/domain/slot-budget.ts';

const at = (value: number): Lsn => lsn(BigInt(value));

test.each<readonly [string, number, number | null, boolean, SlotVerdict]>([
  ['rule 17 a slot within its budget stays', 950, 950, false, 'within'],
  ['rule 17 an abandoned slot over its budget goes', 800, 800, false, 'over'],
  ['rule 33 a slot read to the end stays, whatever an open transaction pins', 100, 1_000, true, 'pinned'],
  ['rule 33 so does one whose reader was cut off a moment ago', 100, 950, false, 'pinned'],
  ['a subscriber at work may fall behind by twice the budget', 800, 800, true, 'pinned'],
  ['but by no more', 799, 799, true, 'over'],
  ['a slot that is being made is judged by what it keeps', 800, null, false, 'over'],
])('%s', (_name, restart, confirmed, atWork, verdict) => {
  const use = {
    currentLsn: at(1_000),
    restartLsn: at(restart),
    confirmedLsn: confirmed === null ? null : at(confirmed),
    atWork,
  };
  expect(judgeSlot(use, 100)).toBe(verdict);
});
