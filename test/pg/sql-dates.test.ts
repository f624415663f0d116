import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { aTerminal, openSite, type SiteDatabase } from './site-databases.ts';

const OLDER = '2026-01-01 00:00:00.000001+00';

interface Dialed {
  readonly number: string | null;
  readonly at: number | null;
}

describe('R14 a date that no clock can show', () => {
  let server: PostgresServer;
  let a: SiteDatabase;

  beforeAll(async () => {
    server = await startPostgres();
    a = await openSite(server, 'a', ['b']);
  });
  afterAll(async () => {
    await a.close();
    await server.remove();
  });

  const asApp = (text: string, ...values: unknown[]) => a.query('app', text, values);
  const insert = (terminal: number, number: string, at: string | null) =>
    asApp(
      'INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, $2, $3)',
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
  const databaseClock = async (): Promise<number> => {
    const [row] = await a.query<{ now: number }>('app', 'SELECT clock_timestamp() AS now');
    return row?.now ?? Number.NaN;
  };

  const IMPOSSIBLE = [
    'infinity',
    '294276-12-31 23:59:59.999999+00',
    '9999-12-31 00:00:00+00',
    '2099-01-01 00:00:00+00',
  ];
  const isNow = async (at: number | null | undefined, before: number): Promise<void> => {
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(await databaseClock());
  };

  it.each(IMPOSSIBLE)('%s is dated now by INSERT, and the next call is seen', async (impossible) => {
    const terminal = aTerminal();
    const before = await databaseClock();
    await insert(terminal, 'stolen', impossible);
    await isNow((await dialed(terminal))?.at, before);
    await insert(terminal, '1002', new Date(Date.now() + 1_000).toISOString());
    expect((await dialed(terminal, 'lastcalls_freshest'))?.number).toBe('1002');
  });

  it.each(IMPOSSIBLE)(
    '%s is dated now by UPDATE, and by a write on the own table itself',
    async (impossible) => {
      const terminal = aTerminal();
      for (const table of ['lastcalls', 'lastcalls_a']) {
        await insert(terminal, '1002', OLDER);
        const before = await databaseClock();
        await asApp(
          `UPDATE lastcall.${table} SET last_dialed_call = $2, last_dialed_date = $3 WHERE terminal_id = $1`,
          terminal,
          `stolen by ${table}`,
          impossible,
        );
        const row = await dialed(terminal);
        expect(row?.number).toBe(`stolen by ${table}`);
        await isNow(row?.at, before);
      }
    },
  );

  it.each(IMPOSSIBLE)('%s of an unknown caller moves with its group', async (impossible) => {
    const terminal = aTerminal();
    await asApp(
      `INSERT INTO lastcall.lastcalls (terminal_id, last_received_call_id, last_received_date, last_term_unknown_pai_date, last_term_call_trace_date)
         VALUES ($1, 'call', $2, $2, $2)`,
      terminal,
      impossible,
    );
    const rows = await asApp(
      `SELECT last_term_unknown_pai_date = last_received_date AS unknown, last_term_call_trace_date <= clock_timestamp() AS traced
         FROM lastcall.lastcalls WHERE terminal_id = $1`,
      terminal,
    );
    expect(rows).toEqual([{ unknown: true, traced: true }]);
  });

  it.each(IMPOSSIBLE)('%s as the earliest date of a mark hides no later call', async (impossible) => {
    const terminal = aTerminal();
    await asApp(`SELECT lastcall.forget($1, 'all', $2)`, terminal, impossible);
    await insert(terminal, '1002', null);
    expect((await dialed(terminal, 'lastcalls_freshest'))?.number).toBe('1002');
    expect((await dialed(terminal))?.at).toBeLessThan((await databaseClock()) + 6_000_000);
  });

  it.each(IMPOSSIBLE)('%s in a copy moves no date of ours beyond what can be counted', async (impossible) => {
    const terminal = aTerminal();
    await insertCopy('b', terminal, 'stolen', impossible);
    await insert(terminal, '1002', null);
    expect((await dialed(terminal))?.number).toBe('1002');
  });

  it('says so with a warning that names the column and the date', async () => {
    const client = await a.connect('app');
    const warnings: string[] = [];
    client.on('notice', ({ severity, message }) => warnings.push(`${severity} ${message}`));
    await client.query(
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, '1', 'infinity')`,
      [aTerminal()],
    );
    expect(warnings).toEqual([
      expect.stringMatching(/^WARNING last_dialed_date of lastcalls \d+ is infinity/),
    ]);
  });
});
