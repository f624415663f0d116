import { expect, test } from 'vitest';
import { seesAll } from '../../../shared/domain/snapshot-sees.ts';

test.each([
  ['committed long ago', '100:105:101,103', [50], true],
  ['committed beside running ones', '100:105:101,103', [102, 104], true],
  ['running', '100:105:101,103', [102, 103], false],
  ['the newest, still running with none after it', '100:100:', [100], false],
  ['of an earlier round of the counter', '4294967396:4294967400:4294967397', [4294967290], true],
  ['of this round', '4294967396:4294967400:4294967397', [101], false],
  ['beyond it', '4294967290:4294967296:', [2], false],
  ['none', '1:1:', [], true],
])('a transaction %s', (_, snapshot, xids, seen) => {
  expect(seesAll(snapshot, xids)).toBe(seen);
});
