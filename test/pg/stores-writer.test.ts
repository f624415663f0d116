import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chooseFreshest } from '../../shared/domain/choose-freshest.ts';
import { callGroup, emptyLastCalls, type LastCalls, mergeLastCalls } from '../../shared/domain/last-calls.ts';
import { micros } from '../../shared/domain/micros.ts';
import type { Database, Queryable } from '../../shared/postgres/database.ts';
import { LastCallsReader } from '../../shared/postgres/last-calls/last-calls-reader.ts';
import { LastCallsWriter, type WriteJournal } from '../../shared/postgres/last-calls/last-calls-writer.ts';
import { recordCalls } from '../../shared/postgres/last-calls/record-calls.ts';
import type { KeptCalls } from '../../shared/ring/kept-calls.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { elapsedMs } from '../support/elapsed.ts';
import { openKept } from '../support/kept-calls.ts';
import { waitFor } from '../support/wait-for.ts';
import { aTerminal, type SiteDatabase } from './site-databases.ts';
import { type StartedStore, startStore } from './started-store.ts';

/** A journal that a test can read: rows in the order they came. */
class ListJournal implements WriteJournal {
  readonly rows: LastCalls[] = [];

  async append(rows: readonly LastCalls[]): Promise<boolean> {
    this.rows.push(...rows);
    return true;
  }

  async pending(terminalIds: readonly number[]): Promise<ReadonlyMap<number, LastCalls>> {
    const merged = new Map<number, LastCalls>();
    for (const row of this.rows) {
      const before = merged.get(row.terminalId);
      if (terminalIds.includes(row.terminalId))
        merged.set(row.terminalId, before ? mergeLastCalls(before, row) : row);
    }
    return merged;
  }
}

let tick = Date.now() * 1000;
const dialed = (terminal: number, number: string): LastCalls => ({
  ...emptyLastCalls(terminal),
  dialed: callGroup(micros(++tick), { number }),
});

describe('LastCallsWriter', () => {
  let store: StartedStore;
  let a: SiteDatabase;
  let database: Database;
  let kept: KeptCalls;

  beforeAll(async () => {
    store = await startStore();
    a = store.site;
    database = store.database;
  });
  afterAll(() => store.stop());
  beforeEach(async () => {
    kept = await openKept();
  });
  afterEach(() => kept.close());

  function open(
    options: { queryable?: Queryable; journal?: WriteJournal; maxDelayMs?: number; maxRows?: number } = {},
  ) {
    const { queryable = database, journal = new ListJournal(), maxDelayMs = 5, maxRows = 500 } = options;
    return new LastCallsWriter({
      database: queryable,
      site: 'a',
      journal,
      kept,
      clock: systemClock,
      maxDelayMs,
      maxRows,
      budgetMs: 1_000,
    });
  }
  /** The database, with the number of statements and a door that holds them back. */
  function gated() {
    let statements = 0;
    let open = () => {};
    let door = Promise.resolve();
    const close = () => {
      door = new Promise<void>((resolve) => {
        open = resolve;
      });
    };
    close();
    const queryable: Queryable = {
      query: async (text, values, budgetMs) => {
        statements++;
        await door;
        return database.query(text, values, budgetMs);
      },
    };
    return { queryable, close, open: () => open(), statements: () => statements };
  }
  const numbers = async (terminals: readonly number[]): Promise<unknown[]> => {
    const rows = await a.query(
      'app',
      'SELECT last_dialed_call AS number FROM lastcall.lastcalls WHERE terminal_id = ANY($1) ORDER BY terminal_id',
      [terminals],
    );
    return rows.map((row) => row['number']);
  };

  it('S4 what a promoted standby never had is a source at once, and written again with its own date', async () => {
    const terminal = aTerminal();
    const writer = open();
    const row = dialed(terminal, '4711');
    expect(await writer.record(row)).toBe('durable');
    // As the standby stands that was promoted before this row reached it.
    await a.transaction('owner', async (client) => {
      await client.query('SET LOCAL session_replication_role = replica');
      await client.query('DELETE FROM lastcall.lastcalls_a WHERE terminal_id = $1', [terminal]);
    });
    expect((await writer.pending([terminal])).size).toBe(0);
    writer.databaseLost();
    expect((await writer.pending([terminal])).get(terminal)?.dialed?.number).toBe('4711');
    await writer.databaseFound();
    expect((await writer.pending([terminal])).size).toBe(0);
    const [found] = await a.query<{ number: string; at: number }>(
      'app',
      'SELECT last_dialed_call AS number, last_dialed_date AS at FROM lastcall.lastcalls_a WHERE terminal_id = $1',
      [terminal],
    );
    expect(found).toEqual({ number: '4711', at: row.dialed?.at });
  });

  it('S4 lost again while what was written lately is written again: it stays a source until the next find', async () => {
    const terminal = aTerminal();
    const { queryable, open: openDoor, close: closeDoor, statements } = gated();
    openDoor();
    const writer = open({ queryable });
    await writer.record(dialed(terminal, '4711'));
    closeDoor();
    writer.databaseLost();
    const found = writer.databaseFound();
    expect(statements()).toBe(2);
    writer.databaseLost();
    openDoor();
    await found;
    expect((await writer.pending([terminal])).get(terminal)?.dialed?.number).toBe('4711');
    await writer.databaseFound();
    expect((await writer.pending([terminal])).size).toBe(0);
  });

  it('S3 what was forgotten meanwhile is not written again', async () => {
    const terminal = aTerminal();
    const writer = open();
    await writer.record(dialed(terminal, '4711'));
    await a.query('app', 'SELECT lastcall.forget($1)', [terminal]);
    writer.databaseLost();
    await writer.databaseFound();
    expect(
      await a.query('app', 'SELECT 1 FROM lastcall.lastcalls_a WHERE terminal_id = $1', [terminal]),
    ).toEqual([]);
  });

  it('a record is in the table when its promise says durable', async () => {
    const terminal = aTerminal();
    expect(await open().record(dialed(terminal, '1'))).toBe('durable');
    expect(await numbers([terminal])).toEqual(['1']);
  });

  it('records of one moment are one statement, conflated per terminal to the newest', async () => {
    const { queryable, open: openDoor, statements } = gated();
    openDoor();
    const writer = open({ queryable });
    const terminals = [aTerminal(), aTerminal()];
    const records = ['1', '2', '3'].flatMap((number) =>
      terminals.map((terminal) => writer.record(dialed(terminal, number))),
    );
    expect(writer.waiting).toBe(2);
    await Promise.all(records);
    expect(statements()).toBe(1);
    expect(await numbers(terminals)).toEqual(['3', '3']);
  });

  it('conflation keeps every group: a dialed and a missed call of one terminal are one row', async () => {
    const writer = open();
    const terminal = aTerminal();
    const missed = { ...emptyLastCalls(terminal), received: callGroup(micros(++tick), { number: '9' }) };
    await Promise.all([writer.record(dialed(terminal, '1')), writer.record(missed)]);
    const rows = await a.query(
      'app',
      'SELECT last_dialed_call AS dialed, last_received_call AS missed FROM lastcall.lastcalls WHERE terminal_id = $1',
      [terminal],
    );
    expect(rows).toEqual([{ dialed: '1', missed: '9' }]);
  });

  it('a full batch does not wait for its delay', async () => {
    const writer = open({ maxDelayMs: 60_000, maxRows: 3 });
    const terminals = [aTerminal(), aTerminal(), aTerminal()];
    await Promise.all(terminals.map((terminal) => writer.record(dialed(terminal, '1'))));
    expect(await numbers(terminals)).toEqual(['1', '1', '1']);
  });

  it('one batch is in flight while the next fills', async () => {
    const { queryable, open: openDoor, statements } = gated();
    const writer = open({ queryable, maxRows: 1 });
    const terminals = Array.from({ length: 20 }, aTerminal);
    const records = terminals.map((terminal) => writer.record(dialed(terminal, '1')));
    await waitFor(() => statements() === 1, { what: 'the first statement' });
    expect(writer.waiting).toBe(20);
    openDoor();
    await Promise.all(records);
    expect(statements()).toBe(2);
    expect(writer.waiting).toBe(0);
  });

  it('C8 a record is visible to reads from the moment it is made, without a gap until the table has it', async () => {
    const terminal = aTerminal();
    const { queryable, open: openDoor, statements } = gated();
    const writer = open({ queryable, maxDelayMs: 1 });
    const reader = new LastCallsReader({ database, site: 'a', pending: writer, budgetMs: 1_000 });
    const shown = async () => {
      const { sources, marks } = await reader.read(terminal);
      return chooseFreshest(['dialed'], sources, marks);
    };
    const recorded = writer.record(dialed(terminal, 'pending'));
    expect(await shown()).toMatchObject({ number: 'pending' });
    await waitFor(() => statements() === 1, { what: 'the statement to be in flight' });
    expect(await shown()).toMatchObject({ number: 'pending' });
    openDoor();
    let landed = false;
    void recorded.finally(() => {
      landed = true;
    });
    while (!landed) expect(await shown()).toMatchObject({ number: 'pending' });
    expect(await shown()).toMatchObject({ number: 'pending' });
  });

  it('I2 a reader that polls while records stream by never sees an older one', async () => {
    const terminal = aTerminal();
    const writer = open({ maxDelayMs: 1 });
    const reader = new LastCallsReader({ database, site: 'a', pending: writer, budgetMs: 1_000 });
    let writing = true;
    const writes = (async () => {
      for (let n = 1; n <= 150; n++) await writer.record(dialed(terminal, `${n}`));
      writing = false;
    })();
    let last = 0;
    let reads = 0;
    while (writing) {
      const { sources, marks } = await reader.read(terminal);
      const choice = chooseFreshest(['dialed'], sources, marks);
      const number = choice.kind === 'number' ? Number(choice.number) : 0;
      expect(number).toBeGreaterThanOrEqual(last);
      last = number;
      reads++;
    }
    await writes;
    expect(reads).toBeGreaterThan(10);
  });

  it('one record that the database can never take spoils no other of its batch', async () => {
    const journal = new ListJournal();
    const writer = open({ journal });
    const terminals = Array.from({ length: 9 }, aTerminal);
    const poison = { ...dialed(0, '1'), terminalId: 0 };
    const results = await Promise.allSettled(
      [
        ...terminals.slice(0, 4).map((terminal) => dialed(terminal, '1')),
        poison,
        ...terminals.slice(4).map((terminal) => dialed(terminal, '1')),
      ].map((row) => writer.record(row)),
    );
    expect(
      results.filter((result) => result.status === 'fulfilled' && result.value === 'durable'),
    ).toHaveLength(9);
    expect(results[4]).toMatchObject({ status: 'rejected', reason: { code: 'INVALID_VALUE' } });
    expect(await numbers(terminals)).toEqual(Array(9).fill('1'));
    expect(journal.rows).toEqual([]);
  });

  it('R12 what the database refuses for reasons of its own goes to the journal', async () => {
    const journal = new ListJournal();
    const terminal = aTerminal();
    await a.query('owner', 'REVOKE INSERT ON lastcall.lastcalls_a FROM lastcall_app');
    try {
      expect(await open({ journal }).record(dialed(terminal, '1'))).toBe('journalled');
    } finally {
      await a.query('owner', 'GRANT INSERT ON lastcall.lastcalls_a TO lastcall_app');
    }
    expect(journal.rows).toMatchObject([{ terminalId: terminal }]);
  });

  it('drain writes what is left', async () => {
    const writer = open({ maxDelayMs: 60_000 });
    const terminals = [aTerminal(), aTerminal()];
    for (const terminal of terminals) void writer.record(dialed(terminal, '1'));
    await writer.drain();
    expect(writer.waiting).toBe(0);
    expect(await numbers(terminals)).toEqual(['1', '1']);
  });

  it('refuses by name what neither database nor ring takes, and goes on with the next', async () => {
    let broken = true;
    const queryable: Queryable = {
      query: (text, values, budgetMs) =>
        broken ? Promise.reject(new Error('Connection terminated')) : database.query(text, values, budgetMs),
    };
    const writer = open({ queryable });
    // A ring without room.
    await kept.close();
    const terminal = aTerminal();
    await expect(writer.record(dialed(terminal, '1'))).rejects.toMatchObject({ code: 'JOURNAL_FULL' });
    broken = false;
    expect(await writer.record(dialed(terminal, '2'))).toBe('durable');
  });

  it('rule 31 a record is in the ring file when record returns, before anything was awaited', async () => {
    const terminal = aTerminal();
    void open({ maxDelayMs: 60_000 }).record(dialed(terminal, '1'));
    expect(kept.pending(terminal)?.dialed?.number).toBe('1');
    await open({ maxDelayMs: 60_000 }).drain();
  });

  it('row 3: what was reported with its date and what the journal drained is written again after a promotion', async () => {
    const [dated, drained] = [aTerminal(), aTerminal()];
    const writer = open();
    expect(await writer.record(dialed(dated, '4711'), 'as-recorded')).toBe('durable');
    await writer.replay([dialed(drained, '4712')]);
    await a.transaction('owner', async (client) => {
      await client.query('SET LOCAL session_replication_role = replica');
      await client.query('DELETE FROM lastcall.lastcalls_a WHERE terminal_id = ANY($1)', [[dated, drained]]);
    });
    writer.databaseLost();
    expect([...(await writer.pending([dated, drained])).keys()].sort()).toEqual([dated, drained].sort());
    await writer.databaseFound();
    expect(await numbers([dated, drained])).toEqual(['4711', '4712']);
  });

  it('R12 server stopped: journalled at once, still seen by reads, applied later with its own date', async () => {
    const own = await startStore();
    const { database: lost, server } = own;
    const journal = new ListJournal();
    const writer = open({ queryable: lost, journal });
    const reader = new LastCallsReader({ database: lost, site: 'a', pending: writer, budgetMs: 500 });
    const terminal = aTerminal();
    try {
      expect(await writer.record(dialed(terminal, 'before'))).toBe('durable');
      await server.stop('immediate');
      const row = dialed(terminal, 'while down');
      const took = await elapsedMs(async () => expect(await writer.record(row)).toBe('journalled'));
      expect(took).toBeLessThan(1_500);
      const { sources, marks } = await reader.read(terminal);
      expect(chooseFreshest(['dialed'], sources, marks)).toMatchObject({ number: 'while down' });
      await server.start();
      await waitFor(() => lost.state.state === 'up', { what: 'the database to be found again' });
      for (const journalled of [...journal.rows, ...journal.rows])
        await recordCalls(lost, 'a', [journalled], 'as-recorded');
      const rows = await lost.query(
        'SELECT last_dialed_call AS number, last_dialed_date AS at FROM lastcall.lastcalls WHERE terminal_id = $1',
        [terminal],
      );
      expect(rows).toEqual([{ number: 'while down', at: row.dialed?.at }]);
    } finally {
      await own.stop();
    }
  });

  it('S4 a server killed under a stream of records: every one is in the table or in the journal', async () => {
    const own = await startStore();
    const { database: lost, server } = own;
    const journal = new ListJournal();
    const writer = open({ queryable: lost, journal, maxDelayMs: 1 });
    const terminals = Array.from({ length: 300 }, aTerminal);
    try {
      const records = terminals.map(async (terminal, n) => {
        await new Promise((resolve) => setTimeout(resolve, n));
        return writer.record(dialed(terminal, '1'));
      });
      await records[60];
      await server.kill();
      await Promise.all(records);
      await server.start();
      await waitFor(() => lost.state.state === 'up', { what: 'the database to be found again' });
      const rows = await lost.query<{ id: number }>('SELECT terminal_id AS id FROM lastcall.lastcalls');
      const kept = new Set([...rows.map((row) => row.id), ...journal.rows.map((row) => row.terminalId)]);
      expect(kept.size).toBe(300);
      expect(rows.length).toBeGreaterThan(50);
      expect(journal.rows.length).toBeGreaterThan(50);
    } finally {
      await own.stop();
    }
  });
});
