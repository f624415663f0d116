import { afterAll, beforeAll, expect, test } from 'vitest';
import { callGroup, emptyLastCalls } from '../../shared/domain/last-calls.ts';
import { micros } from '../../shared/domain/micros.ts';
import { Database } from '../../shared/postgres/database.ts';
import { databaseHealth } from '../../shared/postgres/database-reaction.ts';
import { LastCallsWriter } from '../../shared/postgres/last-calls/last-calls-writer.ts';
import { RedisPrimaryFloor } from '../../shared/redis/primary-floor.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { openKept } from '../support/kept-calls.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { query } from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import { type HaSite, promote, startHaSite, untilReplayed } from './ha-site.ts';

let site: HaSite;
let old: PostgresServer;
let promoted: PostgresServer;
let redis: RedisServer;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  [site, redis] = await Promise.all([startHaSite('a', ['b']), startRedis()]);
  [old, promoted] = site.servers as [PostgresServer, PostgresServer];
});
afterAll(async () => {
  for (const close of closing.reverse()) await close();
  await Promise.all([site.remove(), redis.remove()]);
});

/** What call-control and the api make of a site's database. */
async function openStores(url = site.database.app) {
  const connection = await connectRedis(redis.url);
  let writer: LastCallsWriter | undefined;
  const database = new Database({
    url,
    applicationName: 'zombie-test',
    connectTimeoutMs: 1_000,
    floor: new RedisPrimaryFloor(connection, 'a'),
    onState: ({ state }) =>
      state === 'up' ? void writer?.databaseFound().catch(() => {}) : writer?.databaseLost(),
  });
  closing.push(
    () => connection.close(),
    () => database.close(),
  );
  writer = new LastCallsWriter({
    database,
    site: 'a',
    journal: { append: () => Promise.reject(new Error('no journal')), pending: async () => new Map() },
    kept: await openKept(),
    clock: systemClock,
    maxDelayMs: 5,
    maxRows: 50,
    budgetMs: 5_000,
  });
  void database.start().catch(() => {});
  return { database, writer };
}

const dial = (terminalId: number) => ({
  ...emptyLastCalls(terminalId),
  dialed: callGroup(micros(Date.now() * 1000), { number: String(100 + terminalId) }),
});

const standsAt = (server: PostgresServer) => async (terminalId: number) =>
  (await query(server.url(), 'SELECT FROM lastcall.lastcalls_a WHERE terminal_id = $1', [terminalId]))
    .length === 1;

test('rule 28 the old primary lives on after a promotion: everybody moves at once, and what it was told meanwhile is told the new one', async () => {
  const { database, writer } = await openStores();
  await waitFor(() => database.state.state === 'up', { what: 'the primary' });
  expect(await writer.record(dial(1))).toBe('durable');
  await untilReplayed(old, promoted);
  await promote(promoted);
  // The zombie still answers: a record of this moment is in danger.
  await writer.record(dial(2)).catch(() => {});
  await waitFor(() => database.state.host === `127.0.0.1:${promoted.port}`, {
    what: 'the move to the promoted server, though nothing has failed',
    deadlineMs: 20_000,
  });
  await waitFor(() => standsAt(promoted)(2), { what: 'the record of that moment at the promoted server' });
  expect(await writer.record(dial(3))).toBe('durable');
  expect(await standsAt(promoted)(3)).toBe(true);
  expect(await standsAt(old)(3)).toBe(false);
});

test('rule 28 two servers that take writes are told in readiness as long as they do', async () => {
  const { database } = await openStores();
  await waitFor(() => databaseHealth(database).state === 'degraded', { what: 'the rival' });
  expect(databaseHealth(database).reason).toContain(`two-primaries: 127.0.0.1:${old.port}`);
});

test('rule 28 a process that starts while only the zombie answers believes it nothing', async () => {
  const hosts = `127.0.0.1:${old.port},127.0.0.1:${await freePort()}`;
  const { database } = await openStores(site.database.app.replace(/@[^/]+/, `@${hosts}`));
  await waitFor(
    () => database.state.state === 'down' && /timeline|promoted past/.test(database.state.reason),
    {
      what: 'the refusal of the zombie',
    },
  );
  await expect(database.query('SELECT 1')).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' });
});
