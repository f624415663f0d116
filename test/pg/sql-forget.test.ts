import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { markSql } from '../support/marks.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';
import { aTerminal, carry, openSite, type SiteDatabase } from './site-databases.ts';

const OLDER = '2026-01-01 00:00:00.000001+00';
const NEWER = '2026-01-01 00:00:00.000002+00';
type Group = 'dialed' | 'received' | 'terminated';

describe('forget marks', () => {
  let server: PostgresServer;
  let a: SiteDatabase;
  let b: SiteDatabase;

  beforeAll(async () => {
    server = await startPostgres();
    [a, b] = await Promise.all([openSite(server, 'a', ['b']), openSite(server, 'b', ['a'])]);
  });
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await server.remove();
  });

  const record = (site: SiteDatabase, terminal: number, group: Group, number: string, at: string) =>
    site.query(
      'app',
      `INSERT INTO lastcall.lastcalls (terminal_id, last_${group}_call, last_${group}_date) VALUES ($1, $2, $3)`,
      [terminal, number, at],
    );
  const groups = async (
    site: SiteDatabase,
    terminal: number,
    table = 'lastcalls',
  ): Promise<string | null> => {
    const [row] = await site.query<Record<Group, string | null>>(
      'app',
      `SELECT last_dialed_call AS dialed, last_received_call AS received, last_terminated_call AS terminated
         FROM lastcall.${table} WHERE terminal_id = $1`,
      [terminal],
    );
    return row ? `${row.dialed ?? '-'} ${row.received ?? '-'} ${row.terminated ?? '-'}` : null;
  };
  const forget = async (site: SiteDatabase, terminal: number, scope = 'all'): Promise<number> => {
    const [row] = await site.query<{ at: number }>('app', 'SELECT lastcall.forget($1, $2) AS at', [
      terminal,
      scope,
    ]);
    return row?.at ?? Number.NaN;
  };
  const arrive = (site: SiteDatabase, from: string, terminal: number, scope: string, at: string) =>
    site.query('replicator', markSql(from), [terminal, scope, at]);

  it('S3 a DELETE and a forget of the same terminal at once wait for each other, never in a circle', async () => {
    const terminal = aTerminal();
    const remove = () => a.query('app', 'DELETE FROM lastcall.lastcalls WHERE terminal_id = $1', [terminal]);
    for (let round = 0; round < 50; round++) {
      await record(
        a,
        terminal,
        'dialed',
        `${round}`,
        `2026-01-02 00:00:${String(round).padStart(2, '0')}+00`,
      );
      const settled = await Promise.allSettled([
        remove(),
        forget(a, terminal),
        remove(),
        forget(a, terminal),
      ]);
      expect(settled.filter(({ status }) => status === 'rejected')).toEqual([]);
    }
    expect(await groups(a, terminal)).toBeNull();
  });

  it.each([
    ['all', null],
    ['terminal', null],
    ['dialed', '- 2 3'],
    ['received', '1 - 3'],
    ['terminated', '1 2 -'],
  ])('scope %s removes what it names from the own table', async (scope, left) => {
    const terminal = aTerminal();
    await record(a, terminal, 'dialed', '1', OLDER);
    await record(a, terminal, 'received', '2', OLDER);
    await record(a, terminal, 'terminated', '3', OLDER);
    await forget(a, terminal, scope);
    expect(await groups(a, terminal)).toBe(left);
  });

  it('a scope that is none is refused', async () => {
    await expect(forget(a, aTerminal(), 'everything')).rejects.toMatchObject({ code: '23514' });
  });

  it('C9 a mark that arrives from another site purges this site’s own older groups, and no newer ones', async () => {
    const terminal = aTerminal();
    await record(a, terminal, 'dialed', 'old', OLDER);
    await record(a, terminal, 'received', 'new', '2026-01-01 00:00:00.000003+00');
    await arrive(a, 'b', terminal, 'all', NEWER);
    expect(await groups(a, terminal)).toBe('- new -');
  });

  it('S2 a mark that arrives again, or in an older form, changes nothing', async () => {
    const terminal = aTerminal();
    await arrive(a, 'b', terminal, 'all', NEWER);
    await record(a, terminal, 'dialed', 'new', '2026-01-01 00:00:00.000003+00');
    await arrive(a, 'b', terminal, 'all', NEWER);
    await arrive(a, 'b', terminal, 'all', OLDER);
    expect(await groups(a, terminal)).toBe('new - -');
  });

  it('never moves back, and never forward past what comes later', async () => {
    const terminal = aTerminal();
    await record(a, terminal, 'dialed', '1', new Date(Date.now() + 4_000).toISOString());
    const ahead = await forget(a, terminal);
    expect(await forget(a, terminal)).toBe(ahead);
    const soon = await forget(a, aTerminal());
    expect(soon).toBeLessThan(ahead);
  });

  it('cannot be put at the end of time', async () => {
    const terminal = aTerminal();
    const [row] = await a.query<{ at: number }>(
      'app',
      `SELECT lastcall.forget($1, 'all', 'infinity') AS at`,
      [terminal],
    );
    expect(row?.at).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  it('S3 a terminal forgotten at one site vanishes from every table of every site', async () => {
    const terminal = aTerminal();
    await record(a, terminal, 'dialed', '1', OLDER);
    await record(b, terminal, 'received', '2', OLDER);
    await carry(a, b);
    await b.query('app', 'DELETE FROM lastcall.lastcalls WHERE terminal_id = $1', [terminal]);
    await carry(b, a);
    await carry(a, b);
    for (const site of [a, b])
      for (const table of ['lastcalls_a', 'lastcalls_b', 'lastcalls_freshest'])
        expect(await groups(site, terminal, table)).toBeNull();
  });

  it('S3 a call recorded in the instant of the removal is not seen afterwards', async () => {
    const terminal = aTerminal();
    await record(a, terminal, 'dialed', '1', OLDER);
    const remover = await a.connect('app');
    await remover.query('BEGIN');
    await remover.query('DELETE FROM lastcall.lastcalls WHERE terminal_id = $1', [terminal]);
    const writer = await a.connect('app');
    const { rows } = await writer.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const written = writer.query(
      'INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, $2, $3)',
      [terminal, '2', NEWER],
    );
    await waitFor(
      async () =>
        (await a.query('owner', 'SELECT FROM pg_locks WHERE pid = $1 AND NOT granted', [rows[0]?.pid]))
          .length,
      { what: 'the record to wait for the removal' },
    );
    await remover.query('COMMIT');
    await written;
    expect(await groups(a, terminal, 'lastcalls_freshest')).toBeNull();
    await a.query('replicator', 'SELECT lastcall.sweep_forgotten()');
    expect(await groups(a, terminal)).toBeNull();
  });

  it('a sweep removes what a journal wrote late, of its scope only, and says how many marks it owed', async () => {
    const [late, other] = [aTerminal(), aTerminal()];
    await forget(a, late, 'dialed');
    await forget(a, other, 'all');
    for (const group of ['dialed', 'received'] as const) await record(a, late, group, group, NEWER);
    expect(await a.query('replicator', 'SELECT lastcall.sweep_forgotten() AS swept')).toEqual([{ swept: 1 }]);
    expect(await groups(a, late)).toBe('- received -');
    expect(await a.query('replicator', 'SELECT lastcall.sweep_forgotten() AS swept')).toEqual([{ swept: 0 }]);
  });

  describe('are collected', () => {
    const collect = async (site: SiteDatabase, retention: string): Promise<number> => {
      const [row] = await site.query<{ removed: number }>(
        'replicator',
        'SELECT lastcall.collect_forgotten($1) AS removed',
        [retention],
      );
      return row?.removed ?? Number.NaN;
    };
    const beat = (site: SiteDatabase) => site.query('replicator', 'SELECT lastcall.beat()');
    const marked = async (site: SiteDatabase, terminal: number): Promise<boolean> =>
      (
        await site.query('app', `SELECT FROM lastcall.forgotten_${site.site} WHERE terminal_id = $1`, [
          terminal,
        ])
      ).length > 0;

    it('only after the retention, and only when every other site has applied a beat younger than the mark', async () => {
      await a.query('owner', 'DELETE FROM lastcall.heartbeat_b');
      const terminal = aTerminal();
      await forget(a, terminal);
      expect(await collect(a, '0')).toBe(0);
      // The mark reaches b, but a's beat after it does not yet: b's answer names an older beat or none.
      await carry(a, b);
      await beat(b);
      await carry(b, a);
      expect(await collect(a, '0')).toBe(0);
      await beat(a);
      await carry(a, b);
      await beat(b);
      expect(await collect(a, '0')).toBe(0);
      await carry(b, a);
      expect(await collect(a, '30 days')).toBe(0);
      expect(await marked(a, terminal)).toBe(true);
      expect(await collect(a, '0')).toBeGreaterThan(0);
      expect(await marked(a, terminal)).toBe(false);
    });

    it('after what they still cover is removed: nothing comes back with the mark’s end', async () => {
      const terminal = aTerminal();
      await forget(a, terminal);
      await record(a, terminal, 'dialed', 'late', NEWER);
      await beat(a);
      await carry(a, b);
      await beat(b);
      await carry(b, a);
      await collect(a, '0');
      expect(await marked(a, terminal)).toBe(false);
      expect(await groups(a, terminal, 'lastcalls_freshest')).toBeNull();
    });

    it('not while a third site has never been heard of', async () => {
      const terminal = aTerminal();
      await forget(b, terminal);
      await b.query('owner', `SELECT lastcall.add_site('c')`);
      await beat(b);
      await carry(b, a);
      await beat(a);
      await carry(a, b);
      expect(await collect(b, '0')).toBe(0);
      expect(await marked(b, terminal)).toBe(true);
    });
  });

  it('a beat names the last beat of every other site that is applied here, and never repeats its own date', async () => {
    const beat = async (site: SiteDatabase): Promise<number> => {
      const [row] = await site.query<{ at: number }>('replicator', 'SELECT lastcall.beat() AS at');
      return row?.at ?? Number.NaN;
    };
    const first = await beat(a);
    expect(await beat(a)).toBeGreaterThan(first);
    await carry(a, b);
    await beat(b);
    const rows = await b.query(
      'app',
      `SELECT (applied ->> 'a')::timestamptz = (SELECT beat_at FROM lastcall.heartbeat_a) AS same, applied ? 'b' AS own
         FROM lastcall.heartbeat_b`,
    );
    expect(rows).toEqual([{ same: true, own: false }]);
  });
});
