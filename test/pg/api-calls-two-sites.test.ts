import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis.ts';
import {
  query,
  type RunningReplicator,
  startReplicator,
  untilStreaming,
} from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import { terminal } from './rest-site.ts';
import { type StartedApi, startApi } from './started-api.ts';
import { startTwoSites, type TwoSites } from './two-sites.ts';

let sites: TwoSites;
const redis: RedisServer[] = [];
const apis: Record<'a' | 'b', StartedApi> = Object.create(null);
const replicators: RunningReplicator[] = [];

beforeAll(async () => {
  sites = await startTwoSites();
  for (const [site, peer] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    const own = { site, replicator: sites.url(site, 'replicator') };
    replicators.push(startReplicator(own, { [peer]: sites.url(peer, 'replicator') }));
    const server = await startRedis();
    redis.push(server);
    apis[site] = await startApi(sites.config(site, { redis: { url: server.url } }));
  }
  await Promise.all(replicators.map((one) => untilStreaming(one)));
  for (const id of [1, 2]) await apis.a.request('POST', '/v1/terminals', terminal(id));
  await replicated('terminals_a', 2);
});

afterAll(async () => {
  await Promise.all(
    [...Object.values(apis), ...replicators.map(({ replicator }) => replicator)].map((one) => one.stop()),
  );
  await Promise.all([sites?.server.remove(), ...redis.map((server) => server.remove())]);
});

const replicated = (table: string, rows: number) =>
  waitFor(async () => (await query(sites.ownerUrl('b'), `SELECT FROM lastcall.${table}`)).length === rows, {
    what: `${rows} rows of ${table} at b`,
  });

const report = (site: 'a' | 'b', body: object) => apis[site].request('POST', '/v1/calls', body);
const target = async (site: 'a' | 'b', terminalId: number, code: string) =>
  (await apis[site].request('GET', `/v1/target?terminalId=${terminalId}&code=${code}`)).json.number;

test('R3 R13 a report that a PBX repeats at the other site hides no newer call, wherever that was made', async () => {
  for (const [event, code, parties] of [
    ['dialed', '*52', (other: string) => ({ from: '1001', to: other })],
    ['missed', '*69', (other: string) => ({ from: other, to: '1001' })],
  ] as const) {
    const first = { callId: 'first', event, ...parties('4420001') };
    const answer = await report('a', first);
    expect(answer).toMatchObject({ status: 200, json: { result: 'recorded' } });
    // The row that stood for the first one holds the second one now.
    await report('a', { callId: 'second', event, ...parties('4420002') });
    await waitFor(async () => (await target('b', 1, code)) === '4420002', { what: 'the second call at b' });
    expect(await report('b', first)).toMatchObject({ status: 200, json: answer.json });
    expect(await target('b', 1, code)).toBe('4420002');

    // And the one that is newer was made at the site where the old one is repeated.
    await report('b', { callId: 'third', event, ...parties('4420003') });
    await report('b', { callId: 'second', event, ...parties('4420002') });
    expect(await target('b', 1, code)).toBe('4420003');
    await waitFor(async () => (await target('a', 1, code)) === '4420003', { what: 'the third call at a' });
  }
});

test('a new call is no repetition, though many were reported before', async () => {
  for (let call = 0; call < 40; call++)
    await report('a', { callId: `many-${call}`, event: 'dialed', from: '1002', to: `55${call}` });
  await waitFor(async () => (await target('b', 2, '*52')) === '5539', { what: 'the last of them at b' });
  await report('b', { callId: 'many-30', event: 'dialed', from: '1002', to: '5530' });
  expect(await target('b', 2, '*52')).toBe('5539');
  await report('b', { callId: 'another', event: 'dialed', from: '1002', to: '5530' });
  expect(await target('b', 2, '*52')).toBe('5530');
});
