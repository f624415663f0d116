import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { connectRedis } from '../support/redis.ts';
import { query } from '../support/replication-pair.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { provision } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

let sites: CallSites;
let running: readonly RunningSite[];
let redis: RedisConnection;

beforeAll(async () => {
  sites = await CallSites.startReplicated();
  redis = await connectRedis(sites.redis.url);
  await provision(sites.databases.a, [
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
    { terminalId: 3, number: '1003' },
    { terminalId: 4, number: '1004' },
    { terminalId: 5, number: '1005' },
  ]);
  const provisioned = 'SELECT count(*)::int AS terminals FROM lastcall.terminals';
  await waitFor(async () => (await query(sites.databases.b.app, provisioned))[0]?.['terminals'] === 5);
  running = [await sites.run('a'), await sites.run('b')];
});

afterEach(() => sites.stopPhones());
afterAll(async () => {
  await redis.close();
  await sites.stop();
});

const copyHeld = async (site: string, username: string) =>
  (await redis.client.exists(`lastcall:{${site}}:terminal:username:${username}`)) === 1;

const status = async (site: RunningSite, username: string) =>
  (await (await sites.phone(site, username)).register().final()).status;

/** Known at both sites, in memory and in Redis. */
async function inUse(username: string): Promise<void> {
  for (const site of running) {
    await waitFor(async () => (await status(site, username)) === 200, { what: `${username} registered` });
    await waitFor(() => copyHeld(site.name, username), { what: `a copy of ${username} at ${site.name}` });
  }
}

const untilForgotten = (username: string) =>
  Promise.all(
    running.map(({ name }) =>
      waitFor(async () => !(await copyHeld(name, username)), { what: `${username} forgotten at ${name}` }),
    ),
  );

const bindings = async (site: string, username: string) =>
  redis.client.exists(`lastcall:{${site}}:bindings:sip:${username}@lastcall.test`);

/** Nobody asks PostgreSQL between the change and its end. */
async function withoutPostgres(check: () => Promise<void>): Promise<void> {
  const servers = [sites.serverOf('a'), sites.serverOf('b')];
  await Promise.all(servers.map((server) => server.stop('immediate')));
  try {
    await check();
  } finally {
    await Promise.all(servers.map((server) => server.start()));
  }
}

describe('a terminal stops working everywhere, also when PostgreSQL is away from then on', () => {
  test.each([
    [
      'disabled at this site',
      'a',
      '1002',
      'UPDATE lastcall.terminals SET enabled = false WHERE terminal_id = 2',
    ],
    [
      'disabled at the other',
      'b',
      '1003',
      'UPDATE lastcall.terminals SET enabled = false WHERE terminal_id = 3',
    ],
    ['removed', 'b', '1004', 'DELETE FROM lastcall.terminals WHERE terminal_id = 4'],
  ] as const)('that was %s', async (_how, at, username, statement) => {
    await inUse(username);
    await inUse('1001');
    await query(sites.databases[at].app, statement);
    await untilForgotten(username);
    await withoutPostgres(async () => {
      for (const site of running) expect(await status(site, username)).not.toBe(200);
      // One that nobody touched goes on.
      for (const site of running) expect(await status(site, '1001')).toBe(200);
    });
  });

  test('a removed one is not registered any more', async () => {
    await inUse('1005');
    expect((await bindings('a', '1005')) + (await bindings('b', '1005'))).toBe(2);
    await query(sites.databases.a.app, 'DELETE FROM lastcall.terminals WHERE terminal_id = 5');
    await waitFor(async () => (await bindings('a', '1005')) + (await bindings('b', '1005')) === 0, {
      what: 'no binding at either site',
    });
  });
});
