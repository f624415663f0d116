import { PassThrough, Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestSecrets } from '../../shared/postgres/terminals.ts';
import { withClient } from '../support/postgres.ts';
import { type CliRun, runCli } from '../unit/cli/run-cli.ts';
import { startTwoSites, type TwoSites } from './two-sites.ts';

let sites: TwoSites;
beforeAll(async () => {
  sites = await startTwoSites();
});
afterAll(() => sites.server.remove());

const at = (site: string, ...argv: string[]) => runCli([...argv, '--config', sites.configFile(site)]);
const json = async (site: string, ...argv: string[]) => {
  const run = await at(site, ...argv, '--json');
  return { exit: run.exit, data: JSON.parse(run.out) };
};
const add = (number: string, ...more: string[]) =>
  at('a', 'terminals', 'add', '--number', number, '--password', 'pw', ...more);
/** A terminal at which somebody types. */
const typing = (text: string) => {
  const keys = Object.assign(new PassThrough(), { isTTY: true });
  keys.write(text);
  return keys;
};
const sql = (site: string, text: string, values: unknown[] = []) =>
  withClient(sites.ownerUrl(site), async (client) => (await client.query(text, values)).rows);

describe('lastcall init', () => {
  it('run again applies nothing and says so', async () => {
    const run = await at('a', 'init');
    expect(run).toMatchObject({ exit: 0, err: '' });
    expect(run.out).toContain('site a: nothing new to apply; sites a, b');
  });
});

describe('lastcall terminals', () => {
  it('adds, lists, shows and removes a terminal; its credentials are printed nowhere', async () => {
    expect(await add('1001', '--id', '41', '--user-id', '7')).toMatchObject({ exit: 0, err: '' });
    const { data } = await json('a', 'terminals', 'list');
    expect(data).toMatchObject([
      { terminalId: 41, userId: 7, number: '1001', aor: 'sip:1001@lastcall.test', site: 'a' },
    ]);
    const [stored] = await sql('a', 'SELECT ha1_md5 FROM lastcall.terminals WHERE terminal_id = 41');
    for (const name of ['1001', 'sip:1001@lastcall.test', '41']) {
      const shown = await at('a', 'terminals', 'show', name);
      expect(shown.out).toContain('sip:1001@lastcall.test');
      expect(shown.out).not.toContain(stored.ha1_md5);
    }
    expect((await at('a', 'terminals', 'remove', '1001')).exit).toBe(0);
    expect((await json('a', 'terminals', 'list')).data).toEqual([]);
    expect((await at('a', 'terminals', 'remove', '1001')).err).toContain('TERMINAL_NOT_FOUND');
  });

  it.each([
    {
      how: 'piped in',
      options: ['--password-stdin'],
      stdin: Readable.from(['s3cret\n', 'more\n']),
      asked: '',
    },
    { how: 'typed', options: [], stdin: typing('s3cret\r'), asked: 'Password: \n' },
  ])('a password $how is on no command line, and shown nowhere', async ({ options, stdin, asked }) => {
    const argv = ['terminals', 'add', '--number', '1010', ...options, '--config', sites.configFile('a')];
    const run = await runCli(argv, { stdin });
    expect(run).toMatchObject({ exit: 0, err: asked });
    expect(run.out).not.toContain('s3cret');
    const [stored] = await sql('a', "SELECT ha1_md5 FROM lastcall.terminals WHERE number = '1010'");
    expect(stored.ha1_md5).toBe(digestSecrets('1010', 'lastcall.test', 's3cret').ha1Md5);
    await at('a', 'terminals', 'remove', '1010');
  });

  it('a duplicate is refused by name with status 1 and changes nothing', async () => {
    await add('1002');
    const again: CliRun = await add('1002');
    expect(again).toMatchObject({ exit: 1, out: '' });
    expect(again.err).toContain('TERMINAL_EXISTS');
    expect(again.err).toContain("'1002'");
    expect((await json('a', 'terminals', 'list')).data).toHaveLength(1);
  });

  it("a name that is one terminal's number and another one's id means the number", async () => {
    await add('9', '--id', '700');
    await add('1009', '--id', '9');
    expect((await json('a', 'terminals', 'show', '9')).data.terminalId).toBe(700);
  });
});

describe('lastcall lookup and forget', () => {
  beforeAll(async () => {
    await add('1003', '--id', '3');
    await sql(
      'a',
      `INSERT INTO lastcall.lastcalls_a (terminal_id, last_dialed_call, last_dialed_date) VALUES (3, '2001', '2026-11-21 01:00:00Z')`,
    );
    await sql(
      'a',
      `INSERT INTO lastcall.lastcalls_b (terminal_id, last_dialed_call, last_dialed_date) VALUES (3, '2002', '2026-11-21 02:00:00.000001Z')`,
    );
  });

  it('C4 prints the number, site and date of the freshest table', async () => {
    const { exit, data } = await json('a', 'lookup', '1003', '*52');
    expect(exit).toBe(0);
    expect(data).toMatchObject({ number: '2002', site: 'b', at: '2026-11-21T02:00:00.000001Z' });
    expect(data.ageMs).toBeGreaterThan(0);
    expect((await at('a', 'lookup', '1003', '%2A52')).out).toBe(
      '2002  site b  2026-11-21T02:00:00.000001Z\n',
    );
  });

  it('C1 nothing known, an unknown terminal and a code that is none are told apart, each with status 1', async () => {
    expect((await at('a', 'lookup', '1003', '*69')).err).toContain('NO_DATA');
    expect((await at('a', 'lookup', '4711', '*52')).err).toContain('TERMINAL_NOT_FOUND');
    const code = await at('a', 'lookup', '1003', '*53');
    expect(code.err).toContain('*52');
    expect(code.exit).toBe(1);
  });

  it('C9 what is forgotten is not found, wherever it stands', async () => {
    expect((await json('a', 'forget', '1003', '--scope', 'dialed')).data).toMatchObject({
      terminalId: 3,
      scope: 'dialed',
    });
    expect((await at('a', 'lookup', '1003', '*52')).err).toContain('NO_DATA');
  });
});

describe('lastcall sites', () => {
  it("adds a third site's tables and says what to configure; twice is once", async () => {
    const added = await at('b', 'sites', 'add', 'c');
    expect(added.out).toMatch(/site c added\nnext: add peers\.c to .*\.yaml/);
    expect((await json('b', 'sites', 'add', 'c')).data).toEqual({ site: 'c', added: false });
    const { data } = await json('b', 'sites', 'list');
    expect(data.map((entry: { site: string }) => entry.site)).toEqual(['a', 'b', 'c']);
    expect((await at('b', 'sites', 'add', 'b')).exit).toBe(1);
  });

  it('removes a site that is gone, with the slot that it held; an unknown one and the own are refused', async () => {
    await at('b', 'sites', 'add', 'gone');
    await sql('b', `SELECT pg_create_logical_replication_slot('lastcall_gone', 'pgoutput')`);
    const removed = await at('b', 'sites', 'remove', 'gone');
    expect(removed.out).toContain('site gone removed');
    expect(await sql('b', `SELECT FROM pg_replication_slots WHERE slot_name = 'lastcall_gone'`)).toEqual([]);
    const { data } = await json('b', 'sites', 'list');
    expect(data.map((entry: { site: string }) => entry.site)).not.toContain('gone');
    for (const site of ['gone', 'b'])
      expect((await at('b', 'sites', 'remove', site)).err).toContain('SITE_UNKNOWN');
  });
});

describe('lastcall status, pause, resume, resync', () => {
  it('a direction that no replicator serves is stopped, and the exit status is 3', async () => {
    const { exit, data } = await json('a', 'status');
    expect(exit).toBe(3);
    expect(data.directions).toContainEqual(
      expect.objectContaining({ from: 'b', to: 'a', state: 'stopped', reason: 'never-started' }),
    );
    expect(data.directions).toContainEqual(expect.objectContaining({ from: 'a', to: 'b', state: 'stopped' }));
  });

  it('all streaming is status 0; a report that nobody renews is not believed', async () => {
    const report = (site: string, peer: string, age: string) =>
      sql(
        site,
        `INSERT INTO lastcall.replication_status (peer, state, lag_ms, lag_bytes, updated_at) VALUES ($1, 'streaming', 1.5, 0, now() - $2::interval)
         ON CONFLICT (peer) DO UPDATE SET state = 'streaming', updated_at = excluded.updated_at`,
        [peer, age],
      );
    await sql('b', `DELETE FROM lastcall.sites WHERE site = 'c'`);
    await report('a', 'b', '0 s');
    await report('b', 'a', '0 s');
    const fresh = await at('a', 'status');
    expect(fresh).toMatchObject({ exit: 0, err: '' });
    expect(fresh.out).toMatch(/a > b +streaming +1\.5 ms/);
    await report('b', 'a', '1 min');
    const { exit, data } = await json('a', 'status');
    expect(exit).toBe(3);
    expect(data.directions[0]).toMatchObject({
      from: 'a',
      to: 'b',
      state: 'stopped',
      reason: 'replicator-silent',
    });
    expect(data.directions[0].lagMs).toBeGreaterThan(60_000);
  });

  it('--watch --json prints a line each time until it is interrupted', async () => {
    const interrupt = new AbortController();
    let lines = 0;
    const onOut = () => {
      lines++;
      if (lines === 2) interrupt.abort();
    };
    await runCli(['status', '--watch', '--json', '--config', sites.configFile('a')], {
      signal: interrupt.signal,
      onOut,
    });
    expect(lines).toBeGreaterThanOrEqual(2);
  });

  it('is written where the direction ends: at its subscriber', async () => {
    expect((await at('a', 'pause', 'a', 'b')).exit).toBe(0);
    expect((await at('a', 'resync', 'b', 'a', '--reason', 'drill')).exit).toBe(0);
    expect(await sql('b', 'SELECT peer, paused FROM lastcall.replication_control')).toEqual([
      { peer: 'a', paused: true },
    ]);
    const [asked] = await sql(
      'a',
      'SELECT peer, resync_reason, resync_requested_at IS NOT NULL AS dated FROM lastcall.replication_control',
    );
    expect(asked).toEqual({ peer: 'b', resync_reason: 'drill', dated: true });
    await at('a', 'resume', 'a', 'b');
    expect(await sql('b', 'SELECT paused FROM lastcall.replication_control')).toEqual([{ paused: false }]);
  });

  it('an unknown site is named with those that are known', async () => {
    const run = await at('a', 'pause', 'x', 'a');
    expect(run.exit).toBe(1);
    expect(run.err).toContain('SITE_UNKNOWN');
    expect((await at('a', 'pause', 'a', 'x')).err).toContain('SITE_UNKNOWN');
    expect((await at('a', 'pause', 'a', 'a')).exit).toBe(1);
  });
});

describe('lastcall failover', () => {
  it('without the API the request is kept in PostgreSQL, where the coordinator finds it', async () => {
    const { exit, data } = await json('a', 'failover', 'b', '--reason', 'drill');
    expect(exit).toBe(0);
    const [row] = await sql(
      'a',
      'SELECT site, reason, requested_by, state FROM lastcall.failovers WHERE id = $1',
      [data.id],
    );
    expect(row).toEqual({ site: 'b', reason: 'drill', requested_by: 'cli', state: 'running' });
    expect((await at('a', 'failovers')).out).toContain(data.id);
    expect((await json('a', 'failovers', data.id)).data).toMatchObject({ id: data.id, site: 'b', steps: [] });
    expect((await at('b', 'failovers')).out, 'asked at the other site').toContain(data.id);
    expect((await json('b', 'failovers', data.id)).data).toMatchObject({ id: data.id });
    expect((await at('a', 'failovers', 'nonsense')).err).toContain('FAILOVER_NOT_FOUND');
  });

  it('hooks do the same, with who called them', async () => {
    const run = await at(
      'a',
      'hook',
      'repmgr',
      '2',
      'repmgrd_failover_promote',
      '1',
      '2026-11-21 04:00:00+00',
      'node 2 promoted',
    );
    expect(run).toMatchObject({ exit: 0, err: '' });
    const [row] = await sql(
      'a',
      'SELECT site, reason, requested_by FROM lastcall.failovers ORDER BY requested_at DESC LIMIT 1',
    );
    expect(row).toEqual({
      site: 'a',
      reason: 'repmgr repmgrd_failover_promote',
      requested_by: 'repmgr node 2',
    });
  });

  it('--wait ends with the flow: status 1 and one line on standard error when it failed', async () => {
    const finish = async () => {
      for (;;) {
        const done = await sql(
          'a',
          `UPDATE lastcall.failovers SET state = 'failed', error = 'peer away', ended_at = now() WHERE reason = 'waited' RETURNING id`,
        );
        if (done.length > 0) return;
      }
    };
    const [run] = await Promise.all([at('a', 'failover', 'b', '--reason', 'waited', '--wait'), finish()]);
    expect(run.exit).toBe(1);
    expect(run.err).toMatch(/^lastcall: failover .* failed: peer away\n$/);
  });
});

describe('lastcall doctor', () => {
  it('names what is missing with its remedy: status 1 while Redis is away', async () => {
    const { exit, data } = await json('a', 'doctor');
    expect(exit).toBe(1);
    const states = Object.fromEntries(
      data.findings.map((f: { check: string; state: string }) => [f.check, f.state]),
    );
    expect(states).toMatchObject({
      version: 'ok',
      wal_level: 'ok',
      slots: 'ok',
      schema: 'ok',
      redis: 'fail',
      'peer b': 'ok',
      backup: 'warn',
      api: 'fail',
    });
    expect(states).toMatchObject({ 'postgres.replicatorUrl': 'ok', 'postgres.coordinatorUrl': 'ok' });
  });
});

describe('lastcall switchover', () => {
  it('pauses nothing when the target is not a standby of this site', async () => {
    const coordinator = {
      switchoverCommand: 'false',
      pgbouncerUrls: ['postgres://x:y@127.0.0.1:1/pgbouncer'],
    };
    const config = ['--config', sites.configFile('a', { coordinator })];
    const elsewhere = await runCli(['switchover', 'a', '--to', '10.9.9.9', ...config]);
    expect(elsewhere).toMatchObject({ exit: 1 });
    expect(elsewhere.err).toContain('none of the hosts');
    const same = await runCli(['switchover', 'a', '--to', `127.0.0.1:${sites.server.port}`, ...config]);
    expect(same.err).toContain('is the primary already');
    expect((await at('a', 'switchover', 'a', '--to', 'x')).err).toContain('coordinator.switchoverCommand');
    expect((await at('a', 'switchover', 'b', '--to', 'x')).err).toContain('at its own site');
  });
});
