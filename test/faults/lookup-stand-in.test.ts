import { afterAll, beforeAll, expect, test } from 'vitest';
import { chooseFreshest } from '../../shared/domain/choose-freshest.ts';
import { callGroup, emptyLastCalls, type LastCalls } from '../../shared/domain/last-calls.ts';
import { Database } from '../../shared/postgres/database.ts';
import { LastCallsReader } from '../../shared/postgres/last-calls/last-calls-reader.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { markSql } from '../support/marks.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { makeSite, query, type SiteDatabase, siteOf } from '../support/replication-pair.ts';

const BUDGET_MS = 500;
let servers: PostgresServer[];
let b: SiteDatabase;
let own: Database;
let peer: Database;
let reader: LastCallsReader;
/** What the process that reads has written lately. */
const recent = new Map<number, LastCalls>();

beforeAll(async () => {
  servers = await Promise.all([startPostgres(), startPostgres()]);
  const [serverA, serverB] = servers as [PostgresServer, PostgresServer];
  const a = await makeSite('a', ['b'], siteOf(serverA));
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

const redial = async (terminal: number) => {
  const { sources, marks } = await reader.read(terminal);
  return chooseFreshest(['dialed'], sources, marks);
};

test('C6 while the own database is away a peer copy answers, as degraded; C7 what it lacks is unreadable, never "no data"; C9 its marks hold; C8 what was written here lately is newer', async () => {
  expect(await redial(1), 'the own tables are empty and readable').toMatchObject({ kind: 'none' });
  await servers[0]?.kill();
  const startedAt = performance.now();
  expect(await redial(1)).toMatchObject({ kind: 'number', number: '100', site: 'a', degraded: ['a'] });
  expect(performance.now() - startedAt).toBeLessThan(BUDGET_MS + 200);
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
