import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initSite } from '../../shared/postgres/init-site.ts';
import { readMigrations } from '../../shared/postgres/migrate.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { type PostgresServer, withClient } from '../support/postgres.ts';
import { POSTGRES, startVersion } from './site-databases.ts';

/** The dissertation's row, in its own order, and what the last dialed call asked for (F16). */
const COLUMNS = `terminal_id user_id last_dialed_call last_dialed_num_id last_dialed_date last_received_call
  last_received_num_id last_received_date last_received_call_id last_received_user_num last_received_user_num_id
  last_received_fwd_call last_received_orig_cld_call last_terminated_call_id last_terminated_user_num
  last_terminated_user_num_id last_terminated_call last_terminated_num_id last_terminated_date last_terminated_fwd_call
  last_terminated_orig_cld_call last_term_unknown_pai_date last_term_call_trace_date last_received_sip_uri
  last_terminated_sip_uri last_dialed_privacy reported_calls`.split(/\s+/);

describe.each(POSTGRES)('migrations on $name', (version) => {
  let server: PostgresServer;
  let databases = 0;

  beforeAll(async () => {
    server = await startVersion(version);
  });
  afterAll(() => server.remove());

  const newDatabase = async (): Promise<string> => {
    const name = `database_${++databases}`;
    await server.createDatabase(name);
    return server.url(name);
  };
  const run = (url: string, text: string, values: unknown[] = []) =>
    withClient(url, async (client) => (await client.query(text, values)).rows);

  it('racing starters are safe: each migration is applied once, by one of them', async () => {
    const ownerUrl = await newDatabase();
    const results = await Promise.all(
      Array.from({ length: 4 }, () =>
        initSite({ ownerUrl, site: 'a', peers: ['b'], passwords: { app: 'x' } }),
      ),
    );
    const all = (await readMigrations()).map((migration) => migration.name);
    expect(results.flatMap((result) => result.migrations).sort()).toEqual(all);
    expect(results.map((result) => result.sites)).toEqual(Array(4).fill(['a', 'b']));
  });

  it('two sites of one cluster may start at the same instant, though roles are shared', async () => {
    const passwords = { app: 'x', replicator: 'x', coordinator: 'x' };
    const urls = await Promise.all(Array.from({ length: 3 }, newDatabase));
    const results = await Promise.all(
      urls.map((ownerUrl) => initSite({ ownerUrl, site: 'a', peers: [], passwords })),
    );
    expect(new Set(results.map((result) => result.migrations.length)).size).toBe(1);
  });

  it('a second run finds nothing to do', async () => {
    const ownerUrl = await newDatabase();
    await initSite({ ownerUrl, site: 'a', peers: ['b'] });
    const again = await initSite({ ownerUrl, site: 'a', peers: ['b', 'c'] });
    expect(again).toEqual({ migrations: [], sites: ['a', 'b', 'c'] });
  });

  it('stopped after any migration, the next run goes on there', async () => {
    const ownerUrl = await newDatabase();
    const folder = join(packageRoot(), 'sql');
    const [first] = await readMigrations();
    if (first === undefined) throw new Error('sql/ is empty');
    await withClient(ownerUrl, async (client) => {
      await client.query(`CREATE SCHEMA lastcall; CREATE TABLE lastcall.migrations
        (version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
      await client.query('SET search_path = lastcall');
      await client.query(await readFile(join(folder, first.name), 'utf8'));
      await client.query('INSERT INTO migrations (version, name, checksum) VALUES ($1, $2, $3)', [
        first.version,
        first.name,
        first.checksum,
      ]);
    });
    const { migrations } = await initSite({ ownerUrl, site: 'a', peers: [] });
    expect(migrations).not.toContain(first.name);
    expect(migrations).toHaveLength((await readMigrations()).length - 1);
  });

  it('a newer schema is refused and left alone', async () => {
    const ownerUrl = await newDatabase();
    await initSite({ ownerUrl, site: 'a', peers: [] });
    await run(ownerUrl, `INSERT INTO lastcall.migrations VALUES (9000, '9000_future.sql', 'x')`);
    await expect(initSite({ ownerUrl, site: 'a', peers: ['b'] })).rejects.toMatchObject({
      code: 'SCHEMA_NEWER',
      details: { databaseVersion: 9000 },
    });
    expect(await run(ownerUrl, 'SELECT site FROM lastcall.sites')).toEqual([{ site: 'a' }]);
  });

  it('an applied migration that was edited since is refused by name', async () => {
    const ownerUrl = await newDatabase();
    await initSite({ ownerUrl, site: 'a', peers: [] });
    await run(ownerUrl, `UPDATE lastcall.migrations SET checksum = 'other' WHERE version = 3`);
    await expect(initSite({ ownerUrl, site: 'a', peers: [] })).rejects.toMatchObject({
      code: 'SCHEMA_CHANGED',
      details: { migration: '0003_kinds.sql' },
    });
  });

  it('after a refusal the database is not left locked for the next starter', async () => {
    const ownerUrl = await newDatabase();
    await run(ownerUrl, `CREATE SCHEMA lastcall; CREATE TABLE lastcall.sites ()`);
    await expect(initSite({ ownerUrl, site: 'a', peers: [] })).rejects.toMatchObject({ code: '42P07' });
    await run(ownerUrl, 'DROP TABLE lastcall.sites');
    await expect(initSite({ ownerUrl, site: 'a', peers: [] })).resolves.toMatchObject({ sites: ['a'] });
  });

  describe('add_site', () => {
    let ownerUrl: string;
    const addSite = (site: string | null, own = false) =>
      run(ownerUrl, 'SELECT lastcall.add_site($1, $2)', [site, own]);

    beforeAll(async () => {
      ownerUrl = await newDatabase();
      await initSite({ ownerUrl, site: 'a', peers: ['b'] });
    });

    it('called again changes nothing', async () => {
      const tables = `SELECT oid, relname FROM pg_class WHERE relnamespace = 'lastcall'::regnamespace ORDER BY 1`;
      const before = await run(ownerUrl, tables);
      await addSite('a', true);
      await addSite('b');
      expect(await run(ownerUrl, tables)).toEqual(before);
    });

    it.each([
      '',
      'A',
      '1a',
      'a-b',
      'a"b',
      'toolong_toolong_t',
      'all',
      'template',
      'by_site',
      'freshest',
      null,
    ])('refuses the name %j', async (name) => {
      await expect(addSite(name)).rejects.toMatchObject({ code: '22023' });
    });

    it('refuses a second own site, and a copy of the own one', async () => {
      await expect(addSite('c', true)).rejects.toMatchObject({ code: '55000' });
      await expect(addSite('a', false)).rejects.toMatchObject({ code: '55000' });
      await expect(addSite('b', true)).rejects.toMatchObject({ code: '55000' });
      await expect(run(ownerUrl, `INSERT INTO lastcall.sites VALUES ('x', true)`)).rejects.toMatchObject({
        code: '23505',
      });
    });

    it('racing for the same site makes it once', async () => {
      await Promise.all(Array.from({ length: 4 }, () => addSite('raced')));
      expect(
        await run(ownerUrl, `SELECT count(*)::int AS n FROM lastcall.sites WHERE site = 'raced'`),
      ).toEqual([{ n: 1 }]);
    });

    it('the name may be as long as it may be', async () => {
      await addSite('sixteen_letters_');
      await run(ownerUrl, `SELECT lastcall.begin_resync('sixteen_letters_')`);
      await run(ownerUrl, `SELECT lastcall.swap_copies('sixteen_letters_')`);
      await run(ownerUrl, `SELECT lastcall.begin_resync('sixteen_letters_')`);
      await run(ownerUrl, `SELECT lastcall.swap_copies('sixteen_letters_')`);
    });

    it('every site’s table has the 25 columns, the one for F16 and the one for repeated reports, of types that cut nothing off', async () => {
      const columns = await run(
        ownerUrl,
        `SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position) AS names, array_agg(DISTINCT data_type::text) AS types
           FROM information_schema.columns WHERE table_schema = 'lastcall' AND table_name IN ('lastcalls_a', 'lastcalls_b')
           GROUP BY 1 ORDER BY 1`,
      );
      const types = ['bigint', 'text', 'timestamp with time zone'];
      expect(columns).toEqual([
        { table_name: 'lastcalls_a', names: COLUMNS, types },
        { table_name: 'lastcalls_b', names: COLUMNS, types },
      ]);
      expect(COLUMNS).toHaveLength(27);
    });

    it('the publication holds exactly the four own tables', async () => {
      const tables = await run(
        ownerUrl,
        `SELECT pubname, array_agg(tablename::text ORDER BY tablename) AS tables FROM pg_publication_tables
           WHERE pubname = 'lastcall_a' GROUP BY 1`,
      );
      const own = ['heartbeat_a', 'lastcalls_a', 'marks_a', 'terminals_a'];
      expect(tables).toEqual([{ pubname: 'lastcall_a', tables: own }]);
    });

    it('own tables keep no index but the key, and room on each page, so that updates stay HOT', async () => {
      const [table] = await run(
        ownerUrl,
        `SELECT reloptions, (SELECT count(*)::int FROM pg_index WHERE indrelid = c.oid) AS indexes
           FROM pg_class c WHERE oid = 'lastcall.lastcalls_a'::regclass`,
      );
      expect(table).toEqual({ reloptions: ['fillfactor=70'], indexes: 1 });
    });
  });

  it('everything belongs to lastcall_owner, who cannot log in', async () => {
    const ownerUrl = await newDatabase();
    await initSite({ ownerUrl, site: 'a', peers: ['b'] });
    const foreign = await run(
      ownerUrl,
      `SELECT relname FROM pg_class WHERE relnamespace = 'lastcall'::regnamespace AND relkind IN ('r', 'v')
         AND relowner <> 'lastcall_owner'::regrole AND relname <> 'migrations'
       UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'lastcall'::regnamespace AND proowner <> 'lastcall_owner'::regrole`,
    );
    expect(foreign).toEqual([]);
    const roles = `SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'lastcall_owner'`;
    expect(await run(ownerUrl, roles)).toEqual([{ rolcanlogin: false, rolsuper: false }]);
  });
});
