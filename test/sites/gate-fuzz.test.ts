import { expect, test } from 'vitest';
import { fuzz } from '../bench/chaos/fuzz.ts';

test('G6 mutated messages over UDP, TCP, TLS and WebSocket with calls under way: the process stands, third parties hear nothing, calls go on', async () => {
  // The short form of `npm run chaos -- fuzz`.
  const report = await fuzz({ messages: 6_000, seed: 5 });
  expect(report.faults).toEqual([]);
});
