import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callGroup, emptyLastCalls, type LastCalls } from '../../shared/domain/last-calls.ts';
import { formatTimestamptz, micros, parseTimestamptz } from '../../shared/domain/micros.ts';
import type { Database, Queryable } from '../../shared/postgres/database.ts';
import { forgetLastCalls } from '../../shared/postgres/last-calls/forget.ts';
import { readLastCalls } from '../../shared/postgres/last-calls/read-last-calls.ts';
import { recordCalls } from '../../shared/postgres/last-calls/record-calls.ts';
import { addTerminal, findTerminal, removeTerminal } from '../../shared/postgres/terminals.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { markSql } from '../support/marks.ts';
import { aTerminal, type SiteDatabase } from './site-databases.ts';
import { type StartedStore, startStore } from './started-store.ts';

const T = parseTimestamptz('2026-01-01 00:00:00.123456+00') ?? micros(0);
const FUTURE = parseTimestamptz('2126-01-01 00:00:00+00') ?? micros(0);
const later = (microseconds: number) => micros(T + microseconds);
const now = () => micros(Date.now() * 1000);
/** A clock that goes a minute behind. */
const slow = () => micros(now() - 60_000_000);

const dialed = (terminal: number, number: string, at = T): LastCalls => ({
  ...emptyLastCalls(terminal),
  dialed: callGroup(at, { number }),
});
const missed = (terminal: number, at = T): LastCalls => ({
  ...emptyLastCalls(terminal),
  received: callGroup(at, { callId: 'withheld' }),
  unknownPaiAt: at,
});

describe('recordCalls', () => {
  let store: StartedStore;
  let a: SiteDatabase;
  let database: Database;

  beforeAll(async () => {
    store = await startStore();
    a = store.site;
    database = store.database;
  });
  afterAll(() => store.stop());

  const live = (rows: readonly LastCalls[], clock: Clock | null = null) =>
    recordCalls(database, 'a', rows, 'live', 5_000, clock);
  const replay = (rows: readonly LastCalls[]) => recordCalls(database, 'a', rows, 'as-recorded', 5_000);
  const own = async (terminal: number): Promise<LastCalls | null> => {
    const known = (await readLastCalls(database, [terminal], 5_000)).get(terminal);
    const source = known?.sources.find((each) => each.site === 'a');
    return source && 'row' in source ? source.row : null;
  };
  const copy = (terminal: number, at: string) =>
    a.query(
      'replicator',
      `INSERT INTO lastcall.lastcalls_b (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, 'copy', $2)`,
      [terminal, at],
    );
  const mark = (terminal: number, scope: string, at: string) =>
    a.query('replicator', markSql('b'), [terminal, scope, at]);

  it('writes every column of a row and reads it back as it was, to the microsecond', async () => {
    const terminal = aTerminal();
    const group = (at: number) =>
      callGroup(later(at), {
        number: `O'Neill "\\" {x,} ü`,
        numberId: Number.MAX_SAFE_INTEGER,
        callId: 'id@host',
        userNumber: '1001',
        userNumberId: 7,
        forwardedBy: '1003',
        originalCalled: '1004',
        sipUri: 'sip:1002@x;y=z?a=b',
      });
    const row: LastCalls = {
      terminalId: terminal,
      userId: 5,
      dialed: callGroup(later(1), { number: '1002', numberId: 2 }),
      received: group(2),
      terminated: group(3),
      unknownPaiAt: later(2),
      callTraceAt: later(4),
      reports: 'abcdefgh',
    };
    await live([row]);
    expect(await own(terminal)).toEqual(row);
  });

  describe('live', () => {
    it('R13 keeps the clock’s date where nothing known is as new', async () => {
      const terminal = aTerminal();
      await copy(terminal, '2025-01-01 00:00:00+00');
      await live([dialed(terminal, '1')]);
      expect((await own(terminal))?.dialed?.at).toBe(T);
    });

    it('R13 goes one microsecond behind a copy’s newer date', async () => {
      const terminal = aTerminal();
      await copy(terminal, '2126-01-01 00:00:00+00');
      await live([dialed(terminal, '1')]);
      expect((await own(terminal))?.dialed).toMatchObject({ number: '1', at: FUTURE + 1 });
    });

    it('R13 goes behind what stands in its own table, of the same date too', async () => {
      const terminal = aTerminal();
      await live([dialed(terminal, '1')]);
      await live([dialed(terminal, '2')]);
      await live([dialed(terminal, '3', later(-50))]);
      expect((await own(terminal))?.dialed).toMatchObject({ number: '3', at: T + 2 });
    });

    it.each(['all', 'dialed'])(
      'R13 goes behind a mark of scope %s from a clock that runs ahead',
      async (scope) => {
        const terminal = aTerminal();
        await mark(terminal, scope, '2126-01-01 00:00:00+00');
        await live([dialed(terminal, '1')]);
        expect((await own(terminal))?.dialed).toMatchObject({ number: '1', at: FUTURE + 1 });
      },
    );

    it('R13 another group’s dates and marks move nothing', async () => {
      const terminal = aTerminal();
      await copy(terminal, '2126-01-01 00:00:00+00');
      await mark(terminal, 'dialed', '2126-01-01 00:00:00+00');
      await live([missed(terminal)]);
      expect((await own(terminal))?.received?.at).toBe(T);
    });

    it('R7 the unknown-caller date moves with its group', async () => {
      const terminal = aTerminal();
      await live([missed(terminal)]);
      await live([missed(terminal, later(-10))]);
      const row = await own(terminal);
      expect(row?.received?.at).toBe(T + 1);
      expect(row?.unknownPaiAt).toBe(T + 1);
    });

    it('R7 the unknown-caller date of an earlier call in the same row stays its own', async () => {
      const terminal = aTerminal();
      const row = { ...missed(terminal, later(5)), received: callGroup(later(9), { number: '2' }) };
      await live([row]);
      expect(await own(terminal)).toMatchObject({ unknownPaiAt: later(5), received: { at: later(9) } });
    });

    it('S3 C9 a record that was waiting when the terminal was forgotten stays forgotten', async () => {
      const terminal = aTerminal();
      const called = now();
      await forgetLastCalls(database, terminal, 'all');
      await live([dialed(terminal, '1', called)], now);
      expect(await own(terminal)).toBeNull();
    });

    it('R13 a record made after the forgetting is seen, however slow its clock', async () => {
      const terminal = aTerminal();
      await forgetLastCalls(database, terminal, 'all');
      await live([dialed(terminal, '1', slow())], slow);
      expect((await own(terminal))?.dialed?.number).toBe('1');
    });

    it('R13 a record that waited hides no call that was recorded meanwhile, in a copy or here', async () => {
      const [here, there] = [aTerminal(), aTerminal()];
      const [called, meanwhile] = [micros(now() - 3_000_000), micros(now() - 1_000_000)];
      await copy(there, formatTimestamptz(meanwhile));
      await live([dialed(here, '2', meanwhile)], now);
      await live([dialed(here, '1', called), dialed(there, '1', called)], now);
      expect((await own(here))?.dialed).toMatchObject({ number: '2', at: meanwhile });
      expect(await own(there)).toBeNull();
    });

    it('R13 a record that was sent at once is seen, however slow its clock', async () => {
      const terminal = aTerminal();
      const known = micros(now() - 1_000_000);
      await copy(terminal, formatTimestamptz(known));
      await live([dialed(terminal, '1', slow())], slow);
      expect((await own(terminal))?.dialed).toMatchObject({ number: '1', at: known + 1 });
    });

    it('S3 a removed terminal is not recorded any more, until it is added again', async () => {
      const terminal = aTerminal();
      const provisioned = {
        terminalId: terminal,
        userId: null,
        username: `u${terminal}`,
        aor: `sip:${terminal}@x`,
        ha1Md5: null,
        ha1Sha256: null,
        number: `${terminal}`,
        numberId: null,
        features: [],
        enabled: true,
      };
      await addTerminal(database, provisioned);
      await removeTerminal(database, terminal);
      await live([dialed(terminal, '1', now())]);
      await replay([dialed(terminal, '1', FUTURE)]);
      expect(await own(terminal)).toBeNull();
      await addTerminal(database, provisioned);
      expect(await findTerminal(database, { terminalId: terminal })).toMatchObject({
        username: `u${terminal}`,
      });
      await live([dialed(terminal, '2', now())]);
      expect((await own(terminal))?.dialed?.number).toBe('2');
    });

    it('R13 eight writers of the same instant each go behind the other: none is dropped', async () => {
      const terminal = aTerminal();
      const writers = Array.from({ length: 8 }, (_, n) => live([dialed(terminal, `${n}`)]));
      await Promise.all(writers);
      expect((await own(terminal))?.dialed?.at).toBe(T + 7);
    });
  });

  describe('as recorded', () => {
    it('S2 a replay, or an older row after a newer one, changes nothing', async () => {
      const terminal = aTerminal();
      await replay([dialed(terminal, '2', later(2))]);
      const before = await a.query(
        'app',
        'SELECT xmin::text, * FROM lastcall.lastcalls_a WHERE terminal_id = $1',
        [terminal],
      );
      await replay([dialed(terminal, '1', later(1))]);
      await replay([dialed(terminal, 'other', later(2))]);
      const after = await a.query('app', 'SELECT * FROM lastcall.lastcalls_a WHERE terminal_id = $1', [
        terminal,
      ]);
      const { xmin, ...row } = before[0] ?? {};
      expect(xmin).toBeDefined();
      expect(after).toEqual([row]);
    });

    it('R12 keeps the record’s own date, whatever copies hold', async () => {
      const terminal = aTerminal();
      await copy(terminal, '2126-01-01 00:00:00+00');
      await replay([dialed(terminal, '1')]);
      expect((await own(terminal))?.dialed?.at).toBe(T);
    });

    it('C9 what a mark covers is not written, group by group', async () => {
      const terminal = aTerminal();
      await mark(terminal, 'dialed', '2126-01-01 00:00:00+00');
      await replay([{ ...missed(terminal), dialed: callGroup(T, { number: '1', numberId: 5 }) }]);
      expect(await own(terminal)).toMatchObject({ dialed: null, received: { at: T }, unknownPaiAt: T });
    });

    it('C9 a row of which nothing is left makes no row', async () => {
      const terminal = aTerminal();
      await mark(terminal, 'all', '2126-01-01 00:00:00+00');
      await replay([dialed(terminal, '1')]);
      expect(await own(terminal)).toBeNull();
    });
  });

  it('four writers of the same terminals in different orders never deadlock, and none is lost', async () => {
    const terminals = Array.from({ length: 60 }, aTerminal);
    const rounds = 12;
    const writer = async (n: number) => {
      for (let round = 0; round < rounds; round++) {
        const order = n % 2 ? terminals.toReversed() : terminals;
        await live(order.map((terminal) => dialed(terminal, `${n}`, later(round))));
      }
    };
    await Promise.all([0, 1, 2, 3].map(writer));
    const rows = await a.query(
      'app',
      'SELECT DISTINCT last_dialed_date AS at FROM lastcall.lastcalls_a WHERE terminal_id = ANY($1)',
      [terminals],
    );
    expect(rows.every((row) => Number(row['at']) >= T + 4 * rounds - 1)).toBe(true);
  });

  it('a NUL in a number, which a SIP URI can bring, is left out and spoils nothing', async () => {
    const terminal = aTerminal();
    await live([dialed(terminal, '10\0' + '02')]);
    expect((await own(terminal))?.dialed?.number).toBe('1002');
  });

  it('is one statement, whatever the number of rows', async () => {
    let statements = 0;
    const counting: Queryable = {
      query: (text, values, budgetMs) => {
        statements++;
        return database.query(text, values, budgetMs);
      },
    };
    const rows = Array.from({ length: 500 }, () => dialed(aTerminal(), '1'));
    await recordCalls(counting, 'a', rows, 'live');
    expect(statements).toBe(1);
  });
});
