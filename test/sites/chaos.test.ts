import { expect, test } from 'vitest';
import { chaos } from '../bench/chaos/failover.ts';

test('under calls, with the primary killed and promoted, call-control killed and Redis killed: no wrong number, no star code refused, no record lost', async () => {
  // The short form of `npm run chaos -- failover`, at a rate that other tests beside it do not disturb.
  expect(await chaos(['--quick', '--rate', '12'])).toBe(true);
});
