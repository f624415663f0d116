import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectRedis } from '../support/redis.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { CallSites } from '../support/sip-phone-sites.ts';
import { untilRow } from '../support/site-rows.ts';
import { waitFor } from '../support/wait-for.ts';

let sites: CallSites;
let redis: RedisCluster;

beforeAll(async () => {
  redis = await startRedisCluster('a');
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
    { terminalId: 3, number: '1003' },
  ]);
});
afterAll(async () => {
  await sites?.stop();
  await redis?.remove();
});

test('rule 31 in a Redis Cluster the node of the site is killed under calls, PostgreSQL away: no call fails, no record and no binding is lost', async () => {
  const connection = await connectRedis(redis.url);
  const isUp = () => connection.state.state === 'up';
  const overrides = { peers: { b: {} }, redis: { url: redis.url } };
  const site = await sites.run('a', overrides);
  const alice = await sites.registered(site, '1001');
  for (const number of ['1002', '1003']) (await sites.registered(site, number)).behaviour = 'answer';
  const call = async (number: string): Promise<void> => {
    expect((await alice.invite(number).final()).status).toBe(200);
  };
  await call('1002');
  await sites.postgres.stop('immediate');
  await call('1002');
  // The journal's BullMQ queue is on the same node: its keys have the site's hash tag.
  await waitFor(async () => (await connection.client.exists('lastcall:{a}:journal:meta')) === 1, {
    what: 'the journal in Redis',
  });
  await redis.primary.kill();
  await waitFor(() => !isUp(), { what: 'the loss to be noticed' });
  await call('1003');
  await waitFor(isUp, { what: 'the promoted replica', deadlineMs: 30_000 });
  await call('1003');
  await sites.postgres.start();
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1003' });
  await untilRow(sites.databases.a, 3, { last_terminated_call: '1001' });
  // The next process knows where phones are from the promoted replica alone.
  await site.stop();
  const next = await sites.run('a', overrides);
  await call('1003');
  // The old primary comes back as a replica of the new one: nobody stays with it.
  await redis.primary.start();
  await call('1002');
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1002' });
  await next.stop();
  await connection.close();
});
