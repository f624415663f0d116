import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { markSql } from '../support/marks.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { aTerminal, openSite, type SiteDatabase } from './site-databases.ts';

const at = (second: number): string => `2026-01-01 00:00:0${second}+00`;
type Group = 'dialed' | 'received' | 'terminated';

describe('the view lastcalls_freshest', () => {
  let server: PostgresServer;
  let b: SiteDatabase;

  beforeAll(async () => {
    server = await startPostgres();
    b = await openSite(server, 'b', ['a', 'c']);
  });
  afterAll(async () => {
    await b.close();
    await server.remove();
  });

  const put = (site: string, terminal: number, group: Group, number: string | null, second: number) =>
    b.query(
      'coordinator',
      `INSERT INTO lastcall.lastcalls_${site} AS t (terminal_id, last_${group}_call, last_${group}_date) VALUES ($1, $2, $3)
         ON CONFLICT (terminal_id) DO UPDATE SET last_${group}_call = excluded.last_${group}_call, last_${group}_date = excluded.last_${group}_date`,
      [terminal, number, at(second)],
    );
  const mark = (site: string, terminal: number, scope: string, second: number) =>
    b.query('owner', markSql(site), [terminal, scope, at(second)]);
  /** number@site of each group, `-` for a group that is empty, null without a row. */
  const freshest = async (terminal: number): Promise<string | null> => {
    const [row] = await b.query<Record<string, string | null>>(
      'app',
      `SELECT last_dialed_call AS dialed, dialed_site, last_received_call AS received, received_site,
         last_terminated_call AS terminated, terminated_site FROM lastcall.lastcalls_freshest WHERE terminal_id = $1`,
      [terminal],
    );
    if (!row) return null;
    const group = (name: Group) => (row[`${name}_site`] ? `${row[name]}@${row[`${name}_site`]}` : '-');
    return `${group('dialed')} ${group('received')} ${group('terminated')}`;
  };

  it('C1 no row anywhere: no row', async () => {
    expect(await freshest(aTerminal())).toBeNull();
  });

  it('C1 rows without any date: no row', async () => {
    const terminal = aTerminal();
    await b.query('replicator', 'INSERT INTO lastcall.lastcalls_a (terminal_id, user_id) VALUES ($1, 1)', [
      terminal,
    ]);
    expect(await freshest(terminal)).toBeNull();
  });

  it('C2 C3 C4 takes each group from its own freshest table, with the site it came from', async () => {
    const terminal = aTerminal();
    await put('a', terminal, 'dialed', '1', 5);
    await put('b', terminal, 'dialed', '2', 4);
    await put('b', terminal, 'received', '3', 2);
    await put('c', terminal, 'received', '4', 3);
    await put('c', terminal, 'terminated', '5', 1);
    expect(await freshest(terminal)).toBe('1@a 4@c 5@c');
  });

  it('C4 at equal dates the lower site wins', async () => {
    const terminal = aTerminal();
    await put('c', terminal, 'dialed', 'c', 5);
    await put('b', terminal, 'dialed', 'b', 5);
    await put('a', terminal, 'dialed', 'a', 5);
    expect(await freshest(terminal)).toBe('a@a - -');
  });

  it('C5 a withheld or erased group wins by its date, without a number', async () => {
    const terminal = aTerminal();
    await put('a', terminal, 'received', '1', 4);
    await put('b', terminal, 'received', null, 5);
    expect(await freshest(terminal)).toBe('- null@b -');
  });

  it('C9 what a mark of any site covers is not there, what is newer is', async () => {
    const terminal = aTerminal();
    await put('a', terminal, 'dialed', 'old', 4);
    await put('c', terminal, 'dialed', 'new', 6);
    await put('a', terminal, 'received', 'old', 4);
    await mark('a', terminal, 'all', 5);
    expect(await freshest(terminal)).toBe('new@c - -');
  });

  it('C9 the mark’s own instant is covered', async () => {
    const terminal = aTerminal();
    await put('a', terminal, 'dialed', '1', 5);
    await mark('c', terminal, 'terminal', 5);
    expect(await freshest(terminal)).toBeNull();
  });

  it.each<[Group, string]>([
    ['dialed', '- 2@a 3@a'],
    ['received', '1@a - 3@a'],
    ['terminated', '1@a 2@a -'],
  ])('C9 a mark of scope %s leaves the others', async (scope, expected) => {
    const terminal = aTerminal();
    await put('a', terminal, 'dialed', '1', 4);
    await put('a', terminal, 'received', '2', 4);
    await put('a', terminal, 'terminated', '3', 4);
    await mark('c', terminal, scope, 5);
    expect(await freshest(terminal)).toBe(expected);
  });

  it('C9 of several marks the newest counts', async () => {
    const terminal = aTerminal();
    await put('a', terminal, 'dialed', '1', 4);
    await mark('a', terminal, 'all', 3);
    await mark('b', terminal, 'dialed', 5);
    expect(await freshest(terminal)).toBeNull();
  });

  it('one terminal is found by index in every table, whatever the number of terminals', async () => {
    const owner = await b.connect('owner');
    await owner.query('SET enable_seqscan = off');
    const plan = await owner.query<{ 'QUERY PLAN': string }>(
      'EXPLAIN SELECT * FROM lastcall.lastcalls_freshest WHERE terminal_id = 5',
    );
    const text = plan.rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(text).not.toMatch(/Seq Scan|Disabled: true/);
    for (const site of ['a', 'b', 'c']) {
      expect(text).toContain(`lastcalls_${site}_pkey`);
      expect(text).toContain(`marks_${site}_pkey`);
    }
  });
});
