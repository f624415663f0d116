import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { markSql } from '../support/marks.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { aTerminal, carry, openSite, type SiteDatabase } from './site-databases.ts';

const NAMES = ['a', 'b', 'c'];

describe('marks of three sites', () => {
  let server: PostgresServer;
  let sites: readonly [SiteDatabase, SiteDatabase, SiteDatabase];

  beforeAll(async () => {
    server = await startPostgres();
    const opened = NAMES.map((site) =>
      openSite(
        server,
        site,
        NAMES.filter((other) => other !== site),
      ),
    );
    sites = (await Promise.all(opened)) as unknown as typeof sites;
  });
  afterAll(async () => {
    await Promise.all(sites.map((site) => site.close()));
    await server.remove();
  });

  const beat = async (...beating: SiteDatabase[]): Promise<void> => {
    for (const site of beating) await site.query('replicator', 'SELECT lastcall.beat()');
  };
  const record = (site: SiteDatabase, terminal: number) =>
    site.query(
      'app',
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES ($1, 'x', '2026-01-01')`,
      [terminal],
    );
  const collect = async (site: SiteDatabase): Promise<number> => {
    const [row] = await site.query<{ removed: number }>(
      'replicator',
      `SELECT lastcall.collect_forgotten('0') AS removed`,
    );
    return row?.removed ?? Number.NaN;
  };
  const isSeen = async (site: SiteDatabase, terminal: number): Promise<boolean> =>
    (await site.query('app', 'SELECT FROM lastcall.lastcalls_freshest WHERE terminal_id = $1', [terminal]))
      .length > 0;
  /** Every direction but those named `from>to`, as often as it takes for what was said of what was said. */
  const flow = async (...broken: string[]): Promise<void> => {
    for (let round = 0; round < 4; round++) {
      await beat(...sites);
      for (const from of sites)
        for (const to of sites)
          if (from !== to && !broken.includes(`${from.site}>${to.site}`)) await carry(from, to);
    }
  };

  it('a mark stays while one direction does not flow: a copy there may still hold what it covers', async () => {
    const [a, b, c] = sites;
    const terminal = aTerminal();
    await record(c, terminal);
    await flow();
    expect(await isSeen(b, terminal)).toBe(true);
    await a.query('app', 'SELECT lastcall.forget($1)', [terminal]);
    await flow('c>b');
    expect(await collect(a)).toBe(0);
    await carry(a, b);
    expect(await isSeen(b, terminal)).toBe(false);
    await flow();
    expect(await collect(a)).toBeGreaterThan(0);
    await flow();
    for (const site of sites) expect(await isSeen(site, terminal)).toBe(false);
  });

  it('a mark of an old date that was written just now stays until it was delivered', async () => {
    const [a, b] = sites;
    const terminal = aTerminal();
    await record(b, terminal);
    await flow();
    // As a salvage brings it back.
    await a.query('coordinator', markSql('a'), [terminal, 'all', '2026-02-01 00:00:00+00']);
    expect(await collect(a)).toBe(0);
    await flow();
    expect(await collect(a)).toBeGreaterThan(0);
    await flow();
    for (const site of sites) expect(await isSeen(site, terminal)).toBe(false);
  });

  it('remove_site ends the vote of a site that is gone, with its copies and its direction', async () => {
    const [a, b, c] = sites;
    const terminal = aTerminal();
    await record(c, terminal);
    await flow();
    await a.query('app', 'SELECT lastcall.forget($1)', [terminal]);
    await flow('a>c', 'b>c', 'c>a', 'c>b');
    expect(await collect(a)).toBe(0);
    await a.query(
      'owner',
      `INSERT INTO lastcall.replication_position VALUES ('c', '7', 1, 'lastcall_a', 1, '0/0')`,
    );
    for (const site of [a, b]) await site.query('owner', `SELECT lastcall.remove_site('c')`);
    await beat(a, b);
    for (let round = 0; round < 3; round++) {
      await carry(a, b);
      await carry(b, a);
      await beat(a, b);
    }
    expect(await collect(a)).toBeGreaterThan(0);
    for (const site of [a, b]) {
      expect(await site.query('app', 'SELECT site FROM lastcall.sites ORDER BY site')).toHaveLength(2);
      expect(
        await site.query(
          'owner',
          `SELECT relname FROM pg_class WHERE relnamespace = 'lastcall'::regnamespace AND relname ~ '_c$'`,
        ),
      ).toEqual([]);
    }
    expect(await a.query('app', 'SELECT FROM lastcall.replication_position')).toEqual([]);
    for (const text of [`SELECT lastcall.remove_site('a')`, `SELECT lastcall.remove_site('c')`])
      await expect(a.query('owner', text)).rejects.toMatchObject({ code: '42704' });
    // And it may come back.
    await a.query('owner', `SELECT lastcall.add_site('c')`);
    expect(await a.query('app', 'SELECT FROM lastcall.lastcalls_c')).toEqual([]);
  });
});
