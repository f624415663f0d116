import { expect, test } from 'vitest';
import { type Ban, mergeBans } from '../../../shared/domain/ban.ts';

const ban = (name: string, heldUntilMs: number, source: string | null = '192.0.2.1'): Ban => ({
  name,
  source,
  failures: 8,
  heldUntilMs,
});

test('the bans of several processes are one list: longest first, each pair once, nobody who is free again', () => {
  const merged = mergeBans([[ban('1001', 50), ban('1002', 90)], [ban('1001', 70), ban('1003', 10)], []], 20);
  expect(merged).toEqual([ban('1002', 90), { ...ban('1001', 70), failures: 16 }]);
});

test('a name at one source and the name everywhere are two', () => {
  expect(mergeBans([[ban('1001', 50), ban('1001', 60, null)]], 0)).toHaveLength(2);
});
