import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';
import { ADMIN_TOKEN, startTwoSites, type TwoSites } from '../pg/two-sites.ts';
import { withClient } from '../support/postgres.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { query } from '../support/replication-pair.ts';
import { CallControlProcess } from '../support/sip-phone-process.ts';
import { CallSites } from '../support/sip-phone-sites.ts';
import { untilRow } from '../support/site-rows.ts';
import { provision } from '../support/site-terminals.ts';
import { waitFor } from '../support/wait-for.ts';

let sites: TwoSites;
let redis: RedisServer;
let listen: string;
let api: ServerProcess;

beforeAll(async () => {
  [sites, redis] = await Promise.all([startTwoSites(), startRedis()]);
  listen = `127.0.0.1:${await freePort()}`;
  await startApi();
  await waitFor(() => checkIs('postgres', 'up'), { what: 'the database to be found' });
  for (let id = 1; id <= 6; id++)
    await post('/v1/terminals', { terminalId: id, number: String(1000 + id), password: 'pw' });
});
afterEach(async () => {
  await Promise.all([sites.server.start(), redis.start()]);
});
afterAll(async () => {
  await api.kill();
  await Promise.all([sites.server.remove(), redis.remove()]);
});

/** Ready also while what it needs is away. */
async function startApi(): Promise<void> {
  const file = sites.configFile('a', {
    redis: { url: redis.url },
    api: { listen, tokens: [{ token: ADMIN_TOKEN, role: 'admin' }] },
  });
  api = startServerProcess({
    file: process.execPath,
    args: [join(packageRoot(), 'dist/services/api/main.js'), '--config', file],
    spawn: {},
    stopSignal: 'SIGTERM',
    ready: async () => (await fetch(`http://${listen}/healthz`)).ok,
  });
  await waitFor(async () => (await fetch(`http://${listen}/healthz`)).ok, { what: 'the api' });
}

const post = (path: string, body: object) =>
  fetch(`http://${listen}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${ADMIN_TOKEN}` },
    body: JSON.stringify(body),
  });
const dialed = (id: number, to: string, more: object = {}) =>
  post('/v1/calls', { callId: `${id}-${to}`, event: 'dialed', from: String(1000 + id), to, ...more });
const checkIs = async (name: string, state: string): Promise<boolean> => {
  const { checks } = (await (await fetch(`http://${listen}/readyz`)).json()) as {
    checks: Record<string, { state: string }>;
  };
  return checks[name]?.state === state;
};
const numberOf = (id: number): Promise<unknown> =>
  withClient(sites.ownerUrl('a'), async (client) => {
    const { rows } = await client.query(
      'SELECT last_dialed_call FROM lastcall.lastcalls_a WHERE terminal_id = $1',
      [id],
    );
    return rows[0]?.['last_dialed_call'];
  });
const untilNumber = (id: number, number: string) =>
  waitFor(async () => (await numberOf(id)) === number, { what: `${number} in the row of ${id}` });

test('rule 31 PostgreSQL and Redis both away and kill -9: each 202 is in the table afterwards, with or without its date', async () => {
  for (const id of [1, 2, 3]) expect((await dialed(id, '1')).status).toBe(200);
  await Promise.all([sites.server.stop('immediate'), redis.stop()]);
  await waitFor(async () => (await checkIs('postgres', 'down')) && (await checkIs('redis', 'down')), {
    what: 'both losses to be noticed',
  });
  expect((await dialed(1, '4711')).status).toBe(202);
  expect((await dialed(2, '4712')).status).toBe(202);
  expect((await dialed(3, '4713', { at: new Date().toISOString() })).status).toBe(202);
  await api.kill();
  await Promise.all([sites.server.start(), redis.start()]);
  await startApi();
  for (const [id, number] of [
    [1, '4711'],
    [2, '4712'],
    [3, '4713'],
  ] as const)
    await untilNumber(id, number);
});

test('rule 31 FLUSHALL while PostgreSQL is away loses no record', async () => {
  for (const id of [4, 5, 6]) expect((await dialed(id, '1')).status).toBe(200);
  await sites.server.stop('immediate');
  await waitFor(() => checkIs('postgres', 'down'), { what: 'the loss to be noticed' });
  for (const id of [4, 5, 6]) expect((await dialed(id, `471${id}`)).status).toBe(202);
  const admin = await connectRedis(redis.url);
  await admin.client.flushall();
  await admin.close();
  await sites.server.start();
  for (const id of [4, 5, 6]) await untilNumber(id, `471${id}`);
});

test('rule 31 kill -9 of call-control at the very answer of a call: the caller heard of it, so it is recorded', async () => {
  const calls = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
  // A record waits a second for company: whatever is in memory alone goes with the process.
  const overrides = { peers: { b: {} }, calls: { batchDelayMs: 1_000 } };
  const callControl = await CallControlProcess.start(calls, 'a', overrides);
  try {
    await callControl.untilReady();
    const site = { udp: calls.udp('a') };
    const alice = await calls.registered(site, '1001');
    const bob = await calls.registered(site, '1002');
    for (const [behaviour, status] of [
      ['answer', 200],
      [{ status: 486, reason: 'Busy Here' }, 486],
      ['answer', 200],
    ] as const) {
      bob.behaviour = behaviour;
      const call = alice.invite('1002');
      expect((await call.final()).status).toBe(status);
      await callControl.kill();
      const column = status === 200 ? 'last_terminated_call_id' : 'last_received_call_id';
      callControl.restart();
      await callControl.untilReady();
      await untilRow(calls.databases.a, 2, { [column]: call.callId });
      await untilRow(calls.databases.a, 1, { last_dialed_call: '1002' });
    }
  } finally {
    await callControl.stop();
    await calls.stop();
  }
});

test('rule 30 a record stays in the ring until the peer that was away holds it, then goes', async () => {
  const calls = await CallSites.startReplicated();
  try {
    await provision(calls.databases.a, [
      { terminalId: 1, number: '1001' },
      { terminalId: 2, number: '1002' },
    ]);
    const a = await calls.run('a', { peers: { b: {} } });
    const alice = await calls.registered(a, '1001');
    const ringed = async () => {
      const gauge = a.callControl.metrics.registry.getSingleMetric('lastcall_ring_terminals');
      return (await gauge?.get())?.values[0]?.value ?? -1;
    };
    await query(calls.databases.a.owner, `INSERT INTO lastcall.sites (site, own) VALUES ('absent', false)`);
    expect((await alice.invite('1002').final()).status).toBe(480);
    await untilRow(calls.databases.a, 2, { last_received_call: '1001' });
    await untilRow(calls.databases.b, 2, { last_received_call: '1001' }, 'a');
    // Site b holds it, the absent one does not: through rounds enough to let it go.
    await delay(2_500);
    expect(await ringed()).toBe(2);
    await query(calls.databases.a.owner, `DELETE FROM lastcall.sites WHERE site = 'absent'`);
    await waitFor(async () => (await ringed()) === 0, { what: 'the ring to be empty' });
  } finally {
    await calls.stop();
  }
});
