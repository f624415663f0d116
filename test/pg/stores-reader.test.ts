import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseFreshest } from '../../shared/domain/choose-freshest.ts';
import { callGroup, emptyLastCalls, type LastCalls } from '../../shared/domain/last-calls.ts';
import { micros } from '../../shared/domain/micros.ts';
import { Database, type Queryable } from '../../shared/postgres/database.ts';
import {
  LastCallsReader,
  type PendingLastCalls,
} from '../../shared/postgres/last-calls/last-calls-reader.ts';
import { elapsedMs } from '../support/elapsed.ts';
import { markSql } from '../support/marks.ts';
import { waitFor } from '../support/wait-for.ts';
import { aTerminal, type SiteDatabase } from './site-databases.ts';
import { type StartedStore, startStore } from './started-store.ts';

const NOTHING_PENDING: PendingLastCalls = { pending: async () => new Map() };
/** Twice a call's: what is proved are shares of it, and a busy machine needs a moment to log in. */
const BUDGET_MS = 1_000;

describe('LastCallsReader', () => {
  let store: StartedStore;
  let a: SiteDatabase;
  let database: Database;

  beforeAll(async () => {
    store = await startStore(['b', 'c']);
    a = store.site;
    database = store.database;
  });
  afterAll(() => store.stop());

  /** What went to the database, beside the database itself. */
  function watched(): { readonly queryable: Queryable; readonly statements: string[] } {
    const statements: string[] = [];
    const queryable: Queryable = {
      query: (text, values, budgetMs) => {
        statements.push(text);
        return database.query(text, values, budgetMs);
      },
    };
    return { queryable, statements };
  }
  function openReader(queryable: Queryable = database, pending = NOTHING_PENDING): LastCallsReader {
    return new LastCallsReader({ database: queryable, site: 'a', pending, budgetMs: BUDGET_MS });
  }
  const put = (site: string, terminal: number, number: string, at: string) =>
    a.query(
      'coordinator',
      `INSERT INTO lastcall.lastcalls_${site} (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, $2, $3)`,
      [terminal, number, at],
    );
  const redial = async (reader: LastCallsReader, terminal: number) => {
    const { sources, marks } = await reader.read(terminal);
    return chooseFreshest(['dialed'], sources, marks);
  };
  /** With connections open to read each table alone: after a lookup that was held up its own is thrown away. */
  async function holdingLock<T>(table: string, work: () => Promise<T>): Promise<T> {
    await Promise.all(Array.from({ length: 5 }, () => database.query('SELECT pg_sleep(0.05)')));
    const holder = await a.connect('owner');
    await holder.query('BEGIN');
    await holder.query(`LOCK TABLE lastcall.${table} IN ACCESS EXCLUSIVE MODE`);
    try {
      return await work();
    } finally {
      await holder.query('ROLLBACK');
      await holder.end();
    }
  }

  it('C4 reads every site’s table and takes the freshest', async () => {
    const terminal = aTerminal();
    await put('a', terminal, '1', '2026-01-01 00:00:00+00');
    await put('c', terminal, '3', '2026-01-03 00:00:00+00');
    await put('b', terminal, '2', '2026-01-02 00:00:00+00');
    expect(await redial(openReader(), terminal)).toMatchObject({ number: '3', site: 'c', degraded: [] });
  });

  it('C1 a terminal without any row is no data', async () => {
    expect(await redial(openReader(), aTerminal())).toEqual({ kind: 'none' });
  });

  it('C9 the marks of every site come with the rows', async () => {
    const terminal = aTerminal();
    await put('b', terminal, '2', '2026-01-02 00:00:00+00');
    await a.query('replicator', markSql('c'), [terminal, 'all', '2026-01-02 00:00:00+00']);
    expect(await redial(openReader(), terminal)).toEqual({ kind: 'none' });
  });

  it('all lookups of one tick share one statement, whoever asks for the same terminal twice', async () => {
    const terminals = Array.from({ length: 200 }, aTerminal);
    await Promise.all(
      terminals.map((terminal) => put('b', terminal, `${terminal}`, '2026-01-01 00:00:00+00')),
    );
    const { queryable, statements } = watched();
    const reader = openReader(queryable);
    await reader.read(terminals[0] ?? 0);
    await waitFor(() => statements.length >= 2, { what: 'the sites to be known' });
    statements.length = 0;
    const choices = await Promise.all(
      [...terminals, ...terminals].map((terminal) => redial(reader, terminal)),
    );
    expect(statements).toHaveLength(1);
    expect(choices.map((choice) => 'number' in choice && choice.number)).toEqual(
      [...terminals, ...terminals].map(String),
    );
  });

  describe('C8 pending writes', () => {
    const row = (terminal: number, number: string): LastCalls => ({
      ...emptyLastCalls(terminal),
      dialed: callGroup(micros(Date.now() * 1000), { number }),
    });

    it('are one more source', async () => {
      const terminal = aTerminal();
      await put('b', terminal, 'older', '2026-01-01 00:00:00+00');
      const pending = { pending: async () => new Map([[terminal, row(terminal, 'pending')]]) };
      expect(await redial(openReader(database, pending), terminal)).toMatchObject({
        number: 'pending',
        site: 'a',
      });
    });

    it('are asked for before the tables, so that no record is missed on its way into them', async () => {
      const order: string[] = [];
      const queryable: Queryable = {
        query: (text, values, budgetMs) => {
          order.push('tables');
          return database.query(text, values, budgetMs);
        },
      };
      const pending: PendingLastCalls = {
        pending: async () => {
          order.push('pending');
          return new Map();
        },
      };
      await openReader(queryable, pending).read(aTerminal());
      expect(order.slice(0, 2)).toEqual(['pending', 'tables']);
    });

    it('C6 that cannot be read degrade the answer, and what this process holds itself is still seen', async () => {
      const terminal = aTerminal();
      await put('b', terminal, 'older', '2026-01-01 00:00:00+00');
      const pending: PendingLastCalls = {
        pending: () => Promise.reject(new Error('Redis is down')),
        inMemory: () => new Map([[terminal, row(terminal, 'in memory')]]),
      };
      expect(await redial(openReader(database, pending), terminal)).toMatchObject({
        number: 'in memory',
        degraded: ['pending'],
      });
    });

    it('F1 that never answer do not hold the lookup up beyond its budget', async () => {
      const terminal = aTerminal();
      await put('b', terminal, '2', '2026-01-01 00:00:00+00');
      const pending: PendingLastCalls = { pending: () => new Promise(() => {}) };
      const took = await elapsedMs(async () =>
        expect(await redial(openReader(database, pending), terminal)).toMatchObject({
          number: '2',
          degraded: ['pending'],
        }),
      );
      expect(took).toBeLessThan(BUDGET_MS * 1.5);
    });
  });

  describe.each(['lastcalls_b', 'marks_b'])('C6 with %s locked', (table) => {
    it('answers from the other tables within the budget, degraded by that site', async () => {
      const terminal = aTerminal();
      await put('a', terminal, '1', '2026-01-01 00:00:00+00');
      await put('b', terminal, '2', '2026-01-02 00:00:00+00');
      const reader = openReader();
      expect(await redial(reader, terminal)).toMatchObject({ number: '2', degraded: [] });
      const tookMs = await holdingLock(table, () =>
        elapsedMs(async () =>
          expect(await redial(reader, terminal)).toMatchObject({ number: '1', site: 'a', degraded: ['b'] }),
        ),
      );
      expect(tookMs).toBeLessThan(BUDGET_MS * 1.5);
      const healed = await waitFor(
        async () => {
          const again = await redial(reader, terminal);
          return 'degraded' in again && again.degraded.length === 0 ? again : null;
        },
        { what: 'the table to be read again' },
      );
      expect(healed).toMatchObject({ number: '2', site: 'b' });
    });

    it('answers also when the lock was there before the first lookup ever', async () => {
      const terminal = aTerminal();
      await put('c', terminal, '3', '2026-01-01 00:00:00+00');
      const choice = await holdingLock(table, () => redial(openReader(), terminal));
      expect(choice).toMatchObject({ number: '3', degraded: ['b'] });
      expect(await holdingLock(table, () => redial(openReader(), aTerminal()))).toEqual({
        kind: 'unreadable',
        degraded: ['b'],
      });
    });
  });

  it('C6 a table that stays locked slows only the first lookups down, and fills no queue of statements', async () => {
    const terminal = aTerminal();
    await put('a', terminal, '1', '2026-01-01 00:00:00+00');
    const reader = openReader();
    await redial(reader, terminal);
    await holdingLock('lastcalls_b', async () => {
      await redial(reader, terminal);
      const took = await elapsedMs(async () => {
        for (let n = 0; n < 20; n++)
          expect(await redial(reader, terminal)).toMatchObject({ number: '1', degraded: ['b'] });
      });
      expect(took).toBeLessThan(BUDGET_MS);
      const waiting = await a.query(
        'owner',
        `SELECT FROM pg_stat_activity WHERE usename = 'lastcall_app' AND wait_event_type = 'Lock'`,
      );
      expect(waiting.length).toBeLessThanOrEqual(3);
      // lock_timeout of the role: nobody cancels these, they leave by themselves.
      await waitFor(
        async () =>
          (
            await a.query(
              'owner',
              `SELECT FROM pg_stat_activity WHERE usename = 'lastcall_app' AND wait_event_type = 'Lock'`,
            )
          ).length === 0,
        { what: 'forgotten statements to leave the queue' },
      );
      expect(database.state.state).toBe('up');
    });
  });

  it('a site added while running is read, and missed when it is locked', async () => {
    const terminal = aTerminal();
    const reader = openReader();
    await redial(reader, terminal);
    await a.query('owner', `SELECT lastcall.add_site('late')`);
    await put('late', terminal, '9', '2026-01-09 00:00:00+00');
    expect(await redial(reader, terminal)).toMatchObject({ number: '9', site: 'late' });
    await waitFor(
      async () => {
        const choice = await holdingLock('lastcalls_late', () => redial(reader, terminal));
        return choice.kind === 'unreadable' && choice.degraded.includes('late');
      },
      { what: 'the new site to be known' },
    );
  });

  it('C7 database gone: unreadable, quickly, never no data', async () => {
    const own = await startStore();
    const { database: gone, server } = own;
    const reader = openReader(gone);
    try {
      expect(await redial(reader, 1)).toEqual({ kind: 'none' });
      await server.kill();
      const tookMs = await elapsedMs(async () => expect((await redial(reader, 1)).kind).toBe('unreadable'));
      expect(tookMs).toBeLessThan(BUDGET_MS);
      await waitFor(() => gone.state.state === 'down', { what: 'the loss to be noticed' });
      expect((await redial(reader, 1)).kind).toBe('unreadable');
      const pending: PendingLastCalls = {
        pending: async () =>
          new Map([[1, { ...emptyLastCalls(1), dialed: callGroup(micros(5), { number: 'pending' }) }]]),
      };
      expect(await redial(openReader(gone, pending), 1)).toMatchObject({ number: 'pending' });
    } finally {
      await own.stop();
    }
  });

  it('C7 a reader that never saw its database says unreadable, not no data', async () => {
    const never = new Database({ url: a.url('app').replace(/:\d+\//, ':1/'), applicationName: 'test' });
    expect((await redial(openReader(never), 1)).kind).toBe('unreadable');
    await never.close();
  });
});
