import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectRedis } from '../support/redis.ts';
import { type SentinelledRedis, startSentinelledRedis } from '../support/redis-sentinels.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { untilRow } from '../support/site-rows.ts';
import { waitFor } from '../support/wait-for.ts';

let sites: CallSites;
let redis: SentinelledRedis;

beforeAll(async () => {
  redis = await startSentinelledRedis();
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
    { terminalId: 3, number: '1003' },
  ]);
});
afterAll(async () => {
  await sites.stop();
  await redis.remove();
});

const answering = async (site: RunningSite, username: string): Promise<void> => {
  (await sites.registered(site, username)).behaviour = 'answer';
};

test('rule 31 Redis under Sentinel is killed under calls, PostgreSQL away: no call fails, no record and no binding is lost, not even those that the promoted replica never had', async () => {
  const connection = await connectRedis(redis.url);
  const isUp = () => connection.state.state === 'up';
  const overrides = { peers: { b: {} }, redis: { url: redis.url } };
  const site = await sites.run('a', overrides);
  const alice = await sites.registered(site, '1001');
  await answering(site, '1002');
  const call = async (number: string): Promise<void> => {
    expect((await alice.invite(number).final()).status).toBe(200);
  };
  await call('1002');
  // From here on the replica gets nothing more: what comes now stands in the primary alone.
  await redis.leaveBehind();
  await answering(site, '1003');
  await sites.postgres.stop('immediate');
  await call('1002');
  await redis.primary.kill();
  await waitFor(() => !isUp(), { what: 'the loss to be noticed' });
  await call('1003');
  await waitFor(isUp, { what: 'the promoted replica', deadlineMs: 60_000 });
  await call('1003');
  await sites.postgres.start();
  await untilRow(sites.databases.a, 1, { last_dialed_call: '1003' });
  await untilRow(sites.databases.a, 3, { last_terminated_call: '1001' });
  // The next process knows where phones are from the promoted Redis alone, which this one brings up to date meanwhile.
  const bindings = () => connection.client.keys('*:bindings:*1003*');
  await waitFor(async () => (await bindings()).length > 0, { what: 'the binding of 1003 in Redis' });
  await site.stop();
  const next = await sites.run('a', overrides);
  expect((await alice.invite('1003').final()).status).toBe(200);
  await next.stop();
  await connection.close();
});
