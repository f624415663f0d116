import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { micros, parseTimestamptz } from '../../shared/domain/micros.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';
import { aTerminal, openSite, POSTGRES, type SiteDatabase, startVersion } from './site-databases.ts';

const OLDER = '2026-01-01 00:00:00.000001+00';
const NEWER = '2026-01-01 00:00:00.000002+00';
const AHEAD = '2126-01-01 00:00:00+00';
/** As far ahead as a clock may be. */
const slightlyAhead = (): string => new Date(Date.now() + 4_000).toISOString();
const micro = (text: string): number => parseTimestamptz(text) ?? Number.NaN;

interface Dialed {
  readonly number: string | null;
  readonly at: number | null;
}

describe.each(POSTGRES)('the view lastcalls on $name', (version) => {
  let server: PostgresServer;
  let a: SiteDatabase;

  beforeAll(async () => {
    server = await startVersion(version);
    a = await openSite(server, 'a', ['b', 'c']);
  });
  afterAll(async () => {
    await a.close();
    await server.remove();
  });

  const asApp = (text: string, ...values: unknown[]) => a.query('app', text, values);
  const insert = (terminal: number, number: string | null, at: string | null, group = 'dialed') =>
    asApp(
      `INSERT INTO lastcall.lastcalls (terminal_id, last_${group}_call, last_${group}_date) VALUES ($1, $2, $3)`,
      terminal,
      number,
      at,
    );
  const insertCopy = (site: string, terminal: number, number: string, at: string) =>
    a.query(
      'replicator',
      `INSERT INTO lastcall.lastcalls_${site} (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, $2, $3)`,
      [terminal, number, at],
    );
  const dialed = async (terminal: number, table = 'lastcalls'): Promise<Dialed | null> => {
    const [row] = await a.query<Dialed>(
      'app',
      `SELECT last_dialed_call AS number, last_dialed_date AS at FROM lastcall.${table} WHERE terminal_id = $1`,
      [terminal],
    );
    return row ?? null;
  };
  const marks = (terminal: number) =>
    a.query<{ scope: string; at: number }>(
      'app',
      'SELECT scope, forgotten_at AS at FROM lastcall.forgotten_a WHERE terminal_id = $1 ORDER BY scope',
      [terminal],
    );
  const databaseClock = async (): Promise<number> => {
    const [row] = await a.query<{ now: number }>('app', 'SELECT clock_timestamp() AS now');
    return row?.now ?? Number.NaN;
  };

  describe('INSERT', () => {
    it('makes a row, and merges into the row there is, newer group by newer group', async () => {
      const terminal = aTerminal();
      await insert(terminal, '1002', OLDER);
      await insert(terminal, '1003', NEWER);
      await insert(terminal, 'missed', OLDER, 'received');
      expect(await dialed(terminal)).toEqual({ number: '1003', at: micro(NEWER) });
      const [row] = await asApp(
        'SELECT last_received_call AS missed FROM lastcall.lastcalls WHERE terminal_id = $1',
        terminal,
      );
      expect(row).toEqual({ missed: 'missed' });
    });

    it('S2 of an older or the same date changes nothing', async () => {
      const terminal = aTerminal();
      await insert(terminal, '1003', NEWER);
      await insert(terminal, '1002', OLDER);
      await insert(terminal, 'other', NEWER);
      expect(await dialed(terminal)).toEqual({ number: '1003', at: micro(NEWER) });
    });

    it('whatever an ON CONFLICT clause says, the newer group stays', async () => {
      const terminal = aTerminal();
      const upsert = (number: string, at: string) =>
        asApp(
          `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, $2, $3)
             ON CONFLICT (terminal_id) DO UPDATE SET last_dialed_call = excluded.last_dialed_call, last_dialed_date = excluded.last_dialed_date`,
          terminal,
          number,
          at,
        );
      await upsert('1003', NEWER);
      await upsert('1002', OLDER);
      expect(await dialed(terminal)).toEqual({ number: '1003', at: micro(NEWER) });
      await asApp(
        'INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES ($1, $2) ON CONFLICT DO NOTHING',
        terminal,
        '1004',
      );
      expect((await dialed(terminal))?.number).toBe('1004');
    });

    it('of a number without a date is dated now', async () => {
      const terminal = aTerminal();
      const before = await databaseClock();
      await insert(terminal, '1002', null);
      const row = await dialed(terminal);
      expect(row?.at).toBeGreaterThan(before);
      expect(row?.at).toBeLessThan(await databaseClock());
    });

    it('R13 of a number without a date is dated after the copies and the marks known here', async () => {
      const terminal = aTerminal();
      await insertCopy('b', terminal, 'ahead', AHEAD);
      await insert(terminal, '1002', null);
      expect(await dialed(terminal)).toEqual({ number: '1002', at: micro(AHEAD) + 1 });
      await asApp('SELECT lastcall.forget($1)', terminal);
      await insert(terminal, '1003', null);
      expect(await dialed(terminal)).toEqual({ number: '1003', at: micro(AHEAD) + 2 });
    });

    it('of several rows, by COPY too, merges each', async () => {
      const [first, second] = [aTerminal(), aTerminal()];
      await insert(first, 'newer', NEWER);
      await asApp(
        `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, 'x', $3), ($2, 'y', $3), ($2, 'z', $4)`,
        first,
        second,
        OLDER,
        NEWER,
      );
      expect([await dialed(first), await dialed(second)]).toMatchObject([
        { number: 'newer' },
        { number: 'z' },
      ]);
    });

    it('keeps all 27 columns as they are, with quotes, backslashes, UTF-8 and microseconds; a NUL is refused', async () => {
      const terminal = aTerminal();
      const awkward = `O'Neill \\ "quoted" ünï 🕿 {,}`;
      const types = await asApp(
        `SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE table_schema = 'lastcall' AND table_name = 'lastcalls'`,
      );
      const value = (type: unknown): unknown =>
        type === 'text' ? awkward : type === 'bigint' ? terminal : '2026-03-04 05:06:07.123456+00';
      const names = types.map((column) => String(column['name'])).join(', ');
      const values = types.map((column) => value(column['type']));
      const places = values.map((_, index) => `$${index + 1}`).join(', ');
      await asApp(`INSERT INTO lastcall.lastcalls (${names}) VALUES (${places})`, ...values);
      const [row] = await asApp('SELECT * FROM lastcall.lastcalls WHERE terminal_id = $1', terminal);
      const date = micros(micro('2026-03-04 05:06:07.123456+00'));
      const expected = types.map(({ name, type }) => [
        name,
        type === 'timestamp with time zone' ? date : value(type),
      ]);
      expect(row).toEqual(Object.fromEntries(expected));
      expect(types).toHaveLength(27);
      await expect(insert(terminal, 'a\0b', NEWER)).rejects.toMatchObject({ code: '22021' });
    });

    it.each([0, -1, 2 ** 53])('refuses the terminal id %d', async (terminal) => {
      await expect(insert(terminal, '1002', NEWER)).rejects.toMatchObject({ code: '23514' });
    });
  });

  describe('UPDATE', () => {
    const update = (terminal: number, number: string | null, at: string | null) =>
      asApp(
        'UPDATE lastcall.lastcalls SET last_dialed_call = $2, last_dialed_date = $3 WHERE terminal_id = $1',
        terminal,
        number,
        at,
      );

    it('to a newer date is taken as it is', async () => {
      const terminal = aTerminal();
      await insert(terminal, '1002', OLDER);
      await update(terminal, '1003', NEWER);
      expect(await dialed(terminal)).toEqual({ number: '1003', at: micro(NEWER) });
    });

    it('I2 to an older date loses to what stands', async () => {
      const terminal = aTerminal();
      await insert(terminal, '1003', NEWER);
      await update(terminal, '1002', OLDER);
      expect(await dialed(terminal)).toEqual({ number: '1003', at: micro(NEWER) });
    });

    it('of the number alone is dated anew', async () => {
      const terminal = aTerminal();
      await insert(terminal, '1002', OLDER);
      const before = await databaseClock();
      await asApp(`UPDATE lastcall.lastcalls SET last_dialed_call = '1003' WHERE terminal_id = $1`, terminal);
      const row = await dialed(terminal);
      expect(row?.number).toBe('1003');
      expect(row?.at).toBeGreaterThan(before);
    });

    it('R13 of the number alone is dated after what a clock ahead wrote, here or in a copy', async () => {
      const [own, copied] = [aTerminal(), aTerminal()];
      const ahead = slightlyAhead();
      await insert(own, '1002', ahead);
      await insert(copied, '1002', OLDER);
      await insertCopy('c', copied, 'ahead', AHEAD);
      for (const [terminal, known] of [
        [own, ahead],
        [copied, AHEAD],
      ] as const) {
        await asApp(
          `UPDATE lastcall.lastcalls SET last_dialed_call = '1003' WHERE terminal_id = $1`,
          terminal,
        );
        expect(await dialed(terminal)).toEqual({ number: '1003', at: micro(known) + 1 });
      }
    });

    it('to no date at all forgets the group, and only that', async () => {
      const terminal = aTerminal();
      await insert(terminal, '1002', NEWER);
      await insert(terminal, 'missed', NEWER, 'received');
      await asApp('UPDATE lastcall.lastcalls SET last_dialed_date = NULL WHERE terminal_id = $1', terminal);
      const [row] = await asApp(
        'SELECT last_dialed_call AS dialed, last_received_call AS received FROM lastcall.lastcalls WHERE terminal_id = $1',
        terminal,
      );
      expect(row).toEqual({ dialed: null, received: 'missed' });
      expect(await marks(terminal)).toMatchObject([{ scope: 'dialed' }]);
    });

    it('that changes nothing of a group leaves its date', async () => {
      const terminal = aTerminal();
      await insert(terminal, '1002', NEWER);
      await asApp(
        'UPDATE lastcall.lastcalls SET user_id = 5, last_dialed_call = last_dialed_call WHERE terminal_id = $1',
        terminal,
      );
      expect(await dialed(terminal)).toEqual({ number: '1002', at: micro(NEWER) });
    });

    it('of one group leaves the dates of the others', async () => {
      const terminal = aTerminal();
      await insert(terminal, '1002', NEWER);
      await insert(terminal, 'missed', OLDER, 'received');
      await asApp(
        `UPDATE lastcall.lastcalls SET last_received_sip_uri = 'sip:x' WHERE terminal_id = $1`,
        terminal,
      );
      expect(await dialed(terminal)).toEqual({ number: '1002', at: micro(NEWER) });
    });

    it('of the terminal id is refused with what to do instead', async () => {
      const terminal = aTerminal();
      await insert(terminal, '1002', NEWER);
      await expect(
        asApp('UPDATE lastcall.lastcalls SET terminal_id = 1 WHERE terminal_id = $1', terminal),
      ).rejects.toMatchObject({ code: '0A000', hint: expect.stringContaining('INSERT') });
    });

    it('never reaches a copy', async () => {
      const terminal = aTerminal();
      await insertCopy('b', terminal, '1002', NEWER);
      await update(terminal, '1003', AHEAD);
      expect(await dialed(terminal, 'lastcalls_b')).toEqual({ number: '1002', at: micro(NEWER) });
    });
  });

  describe('DELETE', () => {
    const remove = (terminal: number) =>
      asApp('DELETE FROM lastcall.lastcalls WHERE terminal_id = $1', terminal);

    it('S3 forgets the terminal: its row is gone and a mark not older than its dates stands', async () => {
      const terminal = aTerminal();
      const ahead = slightlyAhead();
      await insert(terminal, '1002', ahead);
      await remove(terminal);
      expect(await dialed(terminal)).toBeNull();
      const [mark] = await marks(terminal);
      expect(mark).toMatchObject({ scope: 'all' });
      expect(mark?.at).toBeGreaterThanOrEqual(micro(ahead));
    });

    it('S3 forgets a terminal whose row stands only in a copy', async () => {
      const terminal = aTerminal();
      await insertCopy('c', terminal, '1002', AHEAD);
      expect(await remove(terminal)).toEqual([]);
      expect(await dialed(terminal, 'lastcalls_freshest')).toBeNull();
      expect((await marks(terminal))[0]?.at).toBeGreaterThanOrEqual(micro(AHEAD));
    });

    it('S3 by any column reaches every table, and only the rows that match', async () => {
      const [gone, stays] = [aTerminal(), aTerminal()];
      const number = `to-forget-${gone}`;
      await insertCopy('b', gone, number, OLDER);
      await insert(stays, 'other', NEWER);
      await asApp('DELETE FROM lastcall.lastcalls WHERE last_dialed_call = $1', number);
      expect(await dialed(gone, 'lastcalls_freshest')).toBeNull();
      expect((await dialed(stays))?.number).toBe('other');
      expect(await marks(stays)).toEqual([]);
    });

    it('leaves the view closed to copies again, in the same transaction too', async () => {
      const [gone, copied] = [aTerminal(), aTerminal()];
      await insert(gone, '1002', NEWER);
      await insertCopy('b', copied, '1003', NEWER);
      const client = await a.connect('app');
      await client.query('BEGIN');
      await client.query('DELETE FROM lastcall.lastcalls WHERE terminal_id = $1', [gone]);
      const { rowCount } = await client.query('SELECT FROM lastcall.lastcalls WHERE terminal_id = $1', [
        copied,
      ]);
      await client.query('COMMIT');
      expect(rowCount).toBe(0);
    });

    it('rolled back, forgets nothing and leaves the view closed', async () => {
      const [kept, copied] = [aTerminal(), aTerminal()];
      await insert(kept, '1002', NEWER);
      await insertCopy('b', copied, '1003', NEWER);
      const client = await a.connect('app');
      await client.query('BEGIN');
      await client.query('SAVEPOINT before');
      await client.query('DELETE FROM lastcall.lastcalls WHERE terminal_id = $1', [kept]);
      await client.query('ROLLBACK TO before');
      const { rowCount } = await client.query('SELECT FROM lastcall.lastcalls WHERE terminal_id = ANY($1)', [
        [kept, copied],
      ]);
      await client.query('COMMIT');
      expect(rowCount).toBe(1);
      expect(await marks(kept)).toEqual([]);
    });

    it('of a terminal that a concurrent write is changing waits for it and forgets it as well', async () => {
      const terminal = aTerminal();
      await insert(terminal, '1002', OLDER);
      const [writer, remover] = [await a.connect('app'), await a.connect('app')];
      await writer.query('BEGIN');
      await writer.query(
        `UPDATE lastcall.lastcalls SET last_dialed_call = '1003', last_dialed_date = $2 WHERE terminal_id = $1`,
        [terminal, NEWER],
      );
      const { rows } = await remover.query('SELECT pg_backend_pid() AS pid');
      const removed = remover.query('DELETE FROM lastcall.lastcalls WHERE terminal_id = $1', [terminal]);
      await waitFor(
        async () =>
          (await a.query('owner', 'SELECT FROM pg_locks WHERE pid = $1 AND NOT granted', [rows[0].pid]))
            .length > 0,
        { what: 'the DELETE to wait' },
      );
      await writer.query('COMMIT');
      await removed;
      expect(await dialed(terminal, 'lastcalls_freshest')).toBeNull();
    });

    it('an infinite date poisons nothing: it is forgotten, and the next call is seen', async () => {
      const terminal = aTerminal();
      await insert(terminal, 'eternal', 'infinity');
      await remove(terminal);
      expect(await dialed(terminal)).toBeNull();
      expect((await marks(terminal))[0]?.at).toBeLessThan(Number.POSITIVE_INFINITY);
      await insert(terminal, '1002', null);
      expect((await dialed(terminal, 'lastcalls_freshest'))?.number).toBe('1002');
    });
  });

  it('TRUNCATE of the own table by its owner empties it and touches no copy', async () => {
    const terminal = aTerminal();
    await insert(terminal, '1002', NEWER);
    await insertCopy('b', terminal, '1003', OLDER);
    await a.query('owner', 'TRUNCATE lastcall.lastcalls_a');
    expect(await dialed(terminal)).toBeNull();
    expect((await dialed(terminal, 'lastcalls_freshest'))?.number).toBe('1003');
  });
});
