import { beforeEach, expect, test } from 'vitest';
import { LookupCache } from '../../../services/call-control/lookup-cache.ts';

let nowMs: number;
let loads: string[][];
/** What a load finds; a key that is missing cannot be read. */
let known: Map<string, string | null>;
let cache: LookupCache<string>;

beforeEach(() => {
  nowMs = 0;
  loads = [];
  known = new Map([
    ['1001', 'alice'],
    ['1002', 'bob'],
    ['4711', null],
  ]);
  cache = new LookupCache({
    load: async (keys) => {
      loads.push([...keys]);
      return new Map([...known].filter(([key]) => keys.includes(key)));
    },
    freshMs: 500,
    staleMs: 1_000,
    capacity: 2,
    now: () => nowMs,
  });
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('all lookups of one tick share a load, and the same key is asked once', async () => {
  const answers = await Promise.all(['1001', '1002', '4711', '1001'].map((key) => cache.get(key)));
  expect(answers).toEqual(['alice', 'bob', null, 'alice']);
  expect(loads).toEqual([['1001', '1002', '4711']]);
});

test('a young answer is given from memory; an older one too, and it is refreshed meanwhile', async () => {
  await cache.get('1001');
  nowMs = 400;
  expect(await cache.get('1001')).toBe('alice');
  expect(loads).toHaveLength(1);
  nowMs = 900;
  known.set('1001', null);
  expect(await cache.get('1001')).toBe('alice');
  await turn();
  await turn();
  expect(loads).toHaveLength(2);
  expect(await cache.get('1001')).toBeNull();
});

test('beyond the stale limit the answer is asked for again before it is given: a removed terminal stops working', async () => {
  await cache.get('1001');
  nowMs = 1_001;
  known.set('1001', null);
  expect(await cache.get('1001')).toBeNull();
});

test('what cannot be read again is served at any age; what was never read is an error', async () => {
  await cache.get('1001');
  known.clear();
  nowMs = 3_600_000;
  expect(await cache.get('1001')).toBe('alice');
  await expect(cache.get('1002')).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' });
});

test('the oldest entries go when it is full', async () => {
  await cache.get('1001');
  await cache.get('1002');
  await cache.get('4711');
  await cache.get('1001');
  expect(loads.flat()).toEqual(['1001', '1002', '4711', '1001']);
});
