import { afterAll, beforeAll, expect, test } from 'vitest';
import { chooseFreshest } from '../../shared/domain/choose-freshest.ts';
import { callGroup, emptyLastCalls, type LastCalls } from '../../shared/domain/last-calls.ts';
import { Database } from '../../shared/postgres/database.ts';
import { LastCallsReader } from '../../shared/postgres/last-calls/last-calls-reader.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { elapsedMs } from '../support/elapsed.ts';
import { markSql } from '../support/marks.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { makeSite, query, type SiteDatabase, siteOf } from '../support/replication-pair.ts';

const BUDGET_MS = 500;
let servers: PostgresServer[];
let a: SiteDatabase;
let b: SiteDatabase;
let own: Database;
let peer: Database;
let reader: LastCallsReader;
/** What the process that reads has written lately. */
const recent = new Map<number, LastCalls>();

beforeAll(async () => {
  servers = await Promise.all([startPostgres(), startPostgres()]);
  const [serverA, serverB] = servers as [PostgresServer, PostgresServer];
  a = await makeSite('a', ['b'], siteOf(serverA));
  b = await makeSite('b', ['a'], siteOf(serverB));
  own = new Database({ url: a.app, applicationName: 'test' });
  peer = new Database({ url: b.replicator, applicationName: 'test' });
  await Promise.all([own.start(), peer.start()]);
  reader = new LastCallsReader({
    database: own,
    site: 'a',
    pending: { pending: async () => new Map(), recent: () => recent },
    budgetMs: BUDGET_MS,
    standIns: () => [peer],
  });
  // What replication has brought to b of site a.
  await query(
    b.owner,
    `INSERT INTO lastcall.lastcalls_a (terminal_id, last_dialed_call, last_dialed_date) VALUES (1, '100', now()), (2, '200', now())`,
  );
  await query(b.owner, markSql('b'), [2, 'all', new Date(Date.now() + 3_600_000).toISOString()]);
});

afterAll(async () => {
  await Promise.all([own.close(), peer.close()]);
  await Promise.all(servers.map((server) => server.remove()));
});

const redial = async (terminal: number, by = reader) => {
  const { sources, marks } = await by.read(terminal);
  return chooseFreshest(['dialed'], sources, marks);
};

test('I2 while the own database may lack what a failover brings back, the newer of the two copies is the answer; C9 the peer marks hold; a peer that is away holds up nothing', async () => {
  const unsure = new LastCallsReader({
    database: own,
    site: 'a',
    pending: { pending: async () => new Map() },
    budgetMs: BUDGET_MS,
    standIns: () => [peer],
    unproven: () => true,
  });
  expect(await redial(1, unsure)).toMatchObject({ kind: 'number', number: '100', degraded: [] });
  await query(
    a.owner,
    `INSERT INTO lastcall.lastcalls_a (terminal_id, last_dialed_call, last_dialed_date)
     VALUES (1, '099', now() - interval '1 hour'), (2, '201', now()), (4, '400', now())`,
  );
  expect(await redial(1, unsure)).toMatchObject({ kind: 'number', number: '100' });
  expect(await redial(2, unsure), 'forgotten at the peer').toMatchObject({ kind: 'none' });
  expect(await redial(4, unsure)).toMatchObject({ kind: 'number', number: '400' });
  servers[1]?.pause();
  const took = await elapsedMs(async () =>
    expect(await redial(1, unsure)).toMatchObject({ kind: 'number', number: '099' }),
  );
  expect(took).toBeLessThan(BUDGET_MS);
  servers[1]?.resume();
  await query(a.owner, 'TRUNCATE lastcall.lastcalls_a');
});

test('C6 while the own database is away a peer copy answers, as degraded; C7 what it lacks is unreadable, never "no data"; C9 its marks hold; C8 what was written here lately is newer', async () => {
  expect(await redial(1), 'the own tables are empty and readable').toMatchObject({ kind: 'none' });
  await servers[0]?.kill();
  const took = await elapsedMs(async () =>
    expect(await redial(1)).toMatchObject({ kind: 'number', number: '100', site: 'a', degraded: ['a'] }),
  );
  expect(took).toBeLessThan(BUDGET_MS + 200);
  expect(await redial(2)).toMatchObject({ kind: 'unreadable' });
  expect(await redial(3)).toMatchObject({ kind: 'unreadable' });
  const justNow = callGroup(systemClock(), { number: '101' });
  recent.set(1, { ...emptyLastCalls(1), dialed: justNow });
  expect(await redial(1), "newer than the peer's copy of it").toMatchObject({
    kind: 'number',
    number: '101',
  });
  recent.clear();
  // The peer's server comes back unnoticed: its connections are dead, and the first statement finds that out.
  await servers[1]?.kill();
  await servers[1]?.start();
  expect(await redial(1)).toMatchObject({ kind: 'number', number: '100' });
  await servers[1]?.kill();
  expect(await redial(1)).toMatchObject({ kind: 'unreadable' });
});
