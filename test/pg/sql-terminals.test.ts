import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';
import { aTerminal, carry, openSite, POSTGRES, type SiteDatabase, startVersion } from './site-databases.ts';

describe.each(POSTGRES)('the view terminals on $name', (version) => {
  let server: PostgresServer;
  let a: SiteDatabase;
  let b: SiteDatabase;

  beforeAll(async () => {
    server = await startVersion(version);
    [a, b] = await Promise.all([openSite(server, 'a', ['b']), openSite(server, 'b', ['a'])]);
  });
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await server.remove();
  });

  const insert = (
    site: SiteDatabase,
    terminal: number,
    names: Partial<Record<'username' | 'number' | 'aor', string>> = {},
  ) =>
    site.query(
      'app',
      'INSERT INTO lastcall.terminals (terminal_id, username, number, aor) VALUES ($1, $2, $3, $4)',
      [
        terminal,
        names.username ?? `u${terminal}`,
        names.number ?? `${terminal}`,
        names.aor ?? `sip:${terminal}@x`,
      ],
    );
  const update = (site: SiteDatabase, terminal: number, username: string) =>
    site.query(
      'app',
      'UPDATE lastcall.terminals SET username = $2 WHERE terminal_id = $1 RETURNING terminal_id',
      [terminal, username],
    );
  const remove = (site: SiteDatabase, terminal: number) =>
    site.query('app', 'DELETE FROM lastcall.terminals WHERE terminal_id = $1 RETURNING terminal_id', [
      terminal,
    ]);
  const username = async (site: SiteDatabase, terminal: number): Promise<string | null> => {
    const [row] = await site.query<{ username: string }>(
      'app',
      'SELECT username FROM lastcall.terminals WHERE terminal_id = $1',
      [terminal],
    );
    return row?.username ?? null;
  };
  const replicate = async (): Promise<void> => {
    await carry(a, b);
    await carry(b, a);
    await carry(a, b);
  };

  it('takes defaults: enabled, redial and return', async () => {
    const terminal = aTerminal();
    await insert(a, terminal);
    const [row] = await a.query(
      'app',
      'SELECT enabled, features, site FROM lastcall.terminals WHERE terminal_id = $1',
      [terminal],
    );
    expect(row).toEqual({ enabled: true, features: ['redial', 'return'], site: 'a' });
  });

  it.each(['terminal_id', 'username', 'number', 'aor'] as const)(
    'refuses a second terminal of the same %s, also when the first stands at another site',
    async (name) => {
      const first = aTerminal();
      await insert(a, first);
      await carry(a, b);
      const taken = { username: `u${first}`, number: `${first}`, aor: `sip:${first}@x` };
      for (const site of [a, b]) {
        const second = name === 'terminal_id' ? first : aTerminal();
        const names =
          name === 'terminal_id' ? { username: 'new', number: '*', aor: 'new' } : { [name]: taken[name] };
        await expect(insert(site, second, names)).rejects.toMatchObject({
          code: '23505',
          constraint: `terminals_${name}`,
        });
      }
    },
  );

  it('refuses to take another one’s name by UPDATE, and to change a terminal id', async () => {
    const [first, second] = [aTerminal(), aTerminal()];
    await insert(a, first);
    await insert(a, second);
    await expect(update(a, second, `u${first}`)).rejects.toMatchObject({
      code: '23505',
      constraint: 'terminals_username',
    });
    await expect(
      a.query('app', 'UPDATE lastcall.terminals SET terminal_id = $2 WHERE terminal_id = $1', [
        first,
        aTerminal(),
      ]),
    ).rejects.toMatchObject({ code: '0A000' });
  });

  it.each([
    ['an empty username', `'', 'n', 'a'`],
    ['an empty number', `'u', '', 'a'`],
    ['no address of record', `'u', 'n', NULL`],
  ])('refuses %s', async (_, values) => {
    const text = `INSERT INTO lastcall.terminals (terminal_id, username, number, aor) VALUES (${aTerminal()}, ${values})`;
    await expect(a.query('app', text)).rejects.toMatchObject({ code: expect.stringMatching(/^23/) });
  });

  it('of two inserts at the same instant one is refused', async () => {
    const [first, second] = [aTerminal(), aTerminal()];
    const results = await Promise.allSettled([
      insert(a, first, { username: 'raced' }),
      insert(a, second, { username: 'raced' }),
    ]);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('the newest version wins, wherever it was written', async () => {
    const terminal = aTerminal();
    await insert(a, terminal);
    await carry(a, b);
    await update(b, terminal, `from-b-${terminal}`);
    await carry(b, a);
    expect(await username(a, terminal)).toBe(`from-b-${terminal}`);
    await update(a, terminal, `from-a-${terminal}`);
    await carry(a, b);
    expect([await username(a, terminal), await username(b, terminal)]).toEqual(
      Array(2).fill(`from-a-${terminal}`),
    );
  });

  it('a version from a clock that runs ahead is overtaken by the next write all the same', async () => {
    const terminal = aTerminal();
    await insert(a, terminal);
    await a.query(
      'owner',
      `UPDATE lastcall.terminals_a SET updated_at = now() + interval '1 hour' WHERE terminal_id = $1`,
      [terminal],
    );
    await carry(a, b);
    await update(b, terminal, `late-${terminal}`);
    await carry(b, a);
    expect(await username(a, terminal)).toBe(`late-${terminal}`);
  });

  it('S3 removing a terminal anywhere removes its data from every table of every site', async () => {
    const terminal = aTerminal();
    await insert(a, terminal);
    for (const site of [a, b])
      await site.query(
        'app',
        `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES ($1, '1')`,
        [terminal],
      );
    await replicate();
    // Provisioned at a, removed at b.
    expect(await remove(b, terminal)).toHaveLength(1);
    await replicate();
    for (const site of [a, b])
      for (const kind of ['terminals', 'lastcalls'])
        for (const owner of ['a', 'b'])
          expect(
            await site.query('app', `SELECT FROM lastcall.${kind}_${owner} WHERE terminal_id = $1`, [
              terminal,
            ]),
          ).toEqual([]);
    expect(await username(a, terminal)).toBeNull();
  });

  it('S3 a removed terminal does not come back by what another site still sends', async () => {
    const terminal = aTerminal();
    await insert(a, terminal);
    await carry(a, b);
    await remove(b, terminal);
    await carry(a, b);
    expect(await username(b, terminal)).toBeNull();
    await carry(b, a);
    expect(await username(a, terminal)).toBeNull();
  });

  it('added again after its removal it works, at the site that removed it and at the other', async () => {
    const terminal = aTerminal();
    await insert(a, terminal);
    await replicate();
    await remove(b, terminal);
    await carry(b, a);
    await insert(a, terminal, { username: `again-${terminal}` });
    await replicate();
    expect([await username(a, terminal), await username(b, terminal)]).toEqual(
      Array(2).fill(`again-${terminal}`),
    );
    await remove(a, terminal);
    await insert(a, terminal);
    await replicate();
    expect([await username(a, terminal), await username(b, terminal)]).toEqual(Array(2).fill(`u${terminal}`));
  });

  it('a removed terminal’s names are free', async () => {
    const [first, second] = [aTerminal(), aTerminal()];
    await insert(a, first);
    await remove(a, first);
    await insert(a, second, { username: `u${first}` });
    expect(await username(a, second)).toBe(`u${first}`);
  });

  it('removing or changing what is not there says so by the number of rows', async () => {
    expect(await remove(a, aTerminal())).toEqual([]);
    expect(await update(a, aTerminal(), 'x')).toEqual([]);
  });

  it('S3 an UPDATE that waited for the removal does not bring the terminal back', async () => {
    const terminal = aTerminal();
    await insert(a, terminal);
    const [remover, updater] = [await a.connect('app'), await a.connect('app')];
    await remover.query('BEGIN');
    await remover.query('DELETE FROM lastcall.terminals WHERE terminal_id = $1', [terminal]);
    const { rows } = await updater.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const updated = updater.query(`UPDATE lastcall.terminals SET enabled = false WHERE terminal_id = $1`, [
      terminal,
    ]);
    await waitFor(
      async () =>
        (await a.query('owner', 'SELECT FROM pg_locks WHERE pid = $1 AND NOT granted', [rows[0]?.pid]))
          .length,
      { what: 'the UPDATE to wait' },
    );
    await remover.query('COMMIT');
    expect((await updated).rowCount).toBe(0);
    expect(await username(a, terminal)).toBeNull();
  });

  it('with 20,000 terminals an insert looks at a few pages, not at all', async () => {
    await a.query(
      'owner',
      `INSERT INTO lastcall.terminals_b (terminal_id, username, number, aor) SELECT n, 'many' || n, 'many' || n, 'sip:many' || n
         FROM generate_series(100001, 120000) n; ANALYZE lastcall.terminals_b`,
    );
    const owner = await a.connect('owner');
    const insertInto = 'INSERT INTO lastcall.terminals (terminal_id, username, number, aor) VALUES';
    // The first one in a session also reads the catalog.
    await owner.query(`${insertInto} (${aTerminal()}, 'first', '*1', 'first')`);
    const { rows } = await owner.query(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${insertInto} (${aTerminal()}, 'second', '*2', 'second')`,
    );
    const plan = rows[0]['QUERY PLAN'][0].Plan;
    // One look at the whole table would be over 300 of them.
    expect(plan['Shared Hit Blocks'] + plan['Shared Read Blocks']).toBeLessThan(200);
  });
});
