import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { SiteProcesses } from '../../shared/redis/site-processes.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';

let server: RedisServer;
let redis: RedisConnection;

beforeAll(async () => {
  server = await startRedis();
  redis = await connectRedis(server.url);
});
afterAll(async () => {
  await redis.close();
  await server.remove();
});

const processes = (name: string, now?: () => number) =>
  new SiteProcesses({ redis, site: 'a', self: () => name, ...(now && { now }) });

test('a process that says nothing for three seconds is gone, one that leaves is gone at once, and one that goes on is not', async () => {
  const [watcher, killed, leaving] = [processes('watcher'), processes('killed'), processes('leaving')];
  for (const each of [watcher, killed, leaving]) each.start();
  await waitFor(async () => (await redis.client.zcard('lastcall:{a}:call-controls')) === 3);
  await leaving.leave();
  await waitFor(() => watcher.isGone('leaving'), { what: 'the goodbye', deadlineMs: 2_500 });
  expect(watcher.isGone('killed')).toBe(false);
  // Killed: its beats end, and its last one stays as it was.
  const last = await redis.client.zscore('lastcall:{a}:call-controls', 'killed');
  await killed.leave();
  await redis.client.zadd('lastcall:{a}:call-controls', last ?? '0', 'killed');
  await waitFor(() => watcher.isGone('killed'), { what: 'the silence to be noticed' });
  expect([watcher.isGone('watcher'), watcher.isGone('not heard of yet')]).toEqual([false, false]);
  await watcher.leave();
});

test('without Redis nobody counts as gone but who left a request unheard, for ten seconds', () => {
  let nowMs = 0;
  const watcher = processes('alone', () => nowMs);
  expect(watcher.isGone('other')).toBe(false);
  watcher.unheard('other');
  expect(watcher.isGone('other')).toBe(true);
  nowMs = 10_001;
  expect(watcher.isGone('other')).toBe(false);
});

test('a Redis that lost its data makes nobody gone', async () => {
  const [watcher, other] = [processes('one'), processes('two')];
  for (const each of [watcher, other]) each.start();
  await other.leave();
  await waitFor(() => watcher.isGone('two'), { what: 'the goodbye' });
  await redis.client.flushall();
  await waitFor(() => !watcher.isGone('two'), { what: 'the loss to be noticed' });
  await watcher.leave();
});
