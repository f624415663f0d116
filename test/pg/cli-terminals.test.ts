import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../support/postgres.ts';
import { type CliSurroundings, runCli } from '../unit/cli/run-cli.ts';
import { startTwoSites, type TwoSites } from './two-sites.ts';

let sites: TwoSites;
let config: string;
const folder = mkdtempSync(join(tmpdir(), 'lastcall-import-'));
beforeAll(async () => {
  sites = await startTwoSites();
  config = sites.configFile('a');
});
afterAll(() => sites.server.remove());

const cli = (argv: readonly string[], surroundings: CliSurroundings = {}) =>
  runCli([...argv, '--config', config], surroundings);
const sql = (text: string) =>
  withClient(sites.ownerUrl('a'), async (client) => (await client.query(text)).rows);
const importText = (text: string, ...options: string[]) =>
  cli(['terminals', 'import', '-', ...options], { stdin: Readable.from([text]) });

describe('terminals import', () => {
  it('a bad line is named with its number, and the rest goes in', async () => {
    const run = await importText('number,password\n2001,x\nabc,x\n2001,y\n2002,x\n');
    expect(run).toMatchObject({ exit: 3, out: '2 terminals imported\n' });
    expect(run.err).toContain('line 3: number: expected digits');
    expect(run.err).toContain('line 4: username 2001 stands on line 2 already');
    expect(await sql(`SELECT number FROM lastcall.terminals WHERE number LIKE '200%' ORDER BY 1`)).toEqual([
      { number: '2001' },
      { number: '2002' },
    ]);
  });

  it('a line whose number another terminal has is refused with its number, those around it are not', async () => {
    const run = await importText('number,password\n2003,x\n2001,x\n2004,x\n', '--json');
    expect(JSON.parse(run.out)).toMatchObject({
      imported: 2,
      faults: [{ line: 3, fault: expect.stringContaining("'2001'") }],
    });
  });

  it('--atomic: one bad line, of form or of content, and nothing goes in', async () => {
    for (const bad of ['abc,x', '2001,x']) {
      const run = await importText(`number,password\n2011,x\n${bad}\n`, '--atomic');
      expect(run).toMatchObject({ exit: 1, out: '' });
      expect(run.err).toMatch(/line 3: .*\nnothing was imported/);
    }
    expect(await sql(`SELECT FROM lastcall.terminals WHERE number = '2011'`)).toEqual([]);
    expect(await importText('number,password\n2011,x\n', '--atomic')).toMatchObject({ exit: 0 });
  });

  it('S6 an id that was removed begins empty again, as when it is added', async () => {
    await importText('terminalId,number,password\n300,2300,x\n');
    await sql(
      `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES (300, '1', now())`,
    );
    await cli(['terminals', 'remove', '2300']);
    await importText('terminalId,number,password\n300,2300,x\n');
    expect(
      await sql('SELECT FROM lastcall.lastcalls WHERE terminal_id = 300 AND last_dialed_call IS NOT NULL'),
    ).toEqual([]);
    expect((await cli(['terminals', 'show', '2300'])).exit).toBe(0);
  });

  it('--update replaces what exists; without it the line is refused', async () => {
    await importText('terminalId,number,password\n301,2301,x\n');
    const line = 'terminalId,number,username,password,enabled\n301,2399,ann,y,false\n';
    expect((await importText(line)).err).toContain('line 2');
    expect(await importText(line, '--update')).toMatchObject({ exit: 0 });
    const shown = JSON.parse((await cli(['terminals', 'show', 'ann', '--json'])).out);
    expect(shown).toMatchObject({ terminalId: 301, number: '2399', enabled: false });
  });

  it('what export prints with credentials goes in again unchanged', async () => {
    const { out } = await cli(['terminals', 'export', '--format', 'csv', '--credentials']);
    expect(await importText(out, '--format', 'csv', '--update', '--atomic')).toMatchObject({
      exit: 0,
      err: '',
    });
    expect((await cli(['terminals', 'export', '--format', 'csv', '--credentials'])).out).toBe(out);
    expect((await cli(['terminals', 'export'])).out).not.toContain('ha1');
  });

  it('a file that is not there is said', async () => {
    const run = await cli(['terminals', 'import', join(folder, 'none.csv')]);
    expect(run).toMatchObject({ exit: 1, out: '' });
    expect(run.err).toContain('none.csv');
  });

  it('20,000 terminals go in by chunks, with a bar for who looks', async () => {
    const file = join(folder, 'many.csv');
    const lines = Array.from({ length: 20_000 }, (_, n) => `${1_000_000 + n},x`);
    writeFileSync(file, ['number,password', ...lines].join('\n'));
    let bar = '';
    const run = await cli(['terminals', 'import', file], {
      errIsTerminal: true,
      onErr: (text) => {
        bar += text;
      },
    });
    expect(run).toMatchObject({ exit: 0, out: '20000 terminals imported\n' });
    expect(bar).toContain('[##############################] 20000 of 20000 lines\n');
    expect(
      await sql(`SELECT count(*)::integer AS n FROM lastcall.terminals WHERE number ~ '^10[0-9]{5}$'`),
    ).toEqual([{ n: 20_000 }]);
  });
});

describe('terminals update', () => {
  it('changes what is named and nothing else', async () => {
    await cli(['terminals', 'add', '--number', '2501', '--password', 'x', '--user-id', '7']);
    const before = JSON.parse((await cli(['terminals', 'show', '2501', '--json'])).out);
    const run = await cli(['terminals', 'update', '2501', '--features', 'redial', '--disable', '--json']);
    expect(JSON.parse(run.out)).toMatchObject({
      ...before,
      features: ['redial'],
      enabled: false,
      updatedAt: expect.any(String),
    });
    expect((await cli(['terminals', 'update', '2501', '--enable', '--json'])).out).toContain(
      '"enabled": true',
    );
    expect(await cli(['terminals', 'update', '2501', '--username', 'bob'])).toMatchObject({ exit: 2 });
    expect(await cli(['terminals', 'update', '2501', '--enable', '--disable'])).toMatchObject({ exit: 2 });
    expect((await cli(['terminals', 'update', 'nobody', '--enable'])).err).toContain('TERMINAL_NOT_FOUND');
  });
});

describe('calls', () => {
  it('C4 shows every table, the winner and why', async () => {
    await cli(['terminals', 'add', '--number', '2601', '--password', 'x', '--id', '2601']);
    const insert = (table: string, number: string, at: string) =>
      sql(
        `INSERT INTO lastcall.${table} (terminal_id, last_dialed_call, last_dialed_date) VALUES (2601, '${number}', ${at})`,
      );
    await insert('lastcalls_a', '111', `now() - interval '1 hour'`);
    await insert('lastcalls_b', '222', 'now()');
    const { out } = await cli(['calls', '2601', '--json']);
    expect(JSON.parse(out).entries.filter((e: { group: string }) => e.group === 'dialed')).toMatchObject([
      { site: 'a', number: '111', wins: false },
      { site: 'b', number: '222', wins: true, why: 'the newest date' },
    ]);
    expect((await cli(['calls', '2601'])).out).toMatch(/dialed +b +222 .* wins: the newest date/);
    expect((await cli(['calls', 'nobody'])).err).toContain('TERMINAL_NOT_FOUND');
  });
});

describe('doctor', () => {
  it('finds a readable configuration, missing grants and a token for ever', async () => {
    chmodSync(config, 0o644);
    await sql('REVOKE INSERT ON lastcall.failovers FROM lastcall_coordinator');
    await cli(['tokens', 'add', 'for-ever', '--role', 'admin', '--expires', 'never']);
    const { findings } = JSON.parse((await cli(['doctor', '--json'])).out);
    await sql('GRANT INSERT ON lastcall.failovers TO lastcall_coordinator');
    const said = (state: string) =>
      findings
        .filter((f: { state: string }) => f.state === state)
        .map((f: { check: string; detail: string }) => `${f.check}: ${f.detail}`);
    expect(said('warn')).toContainEqual(expect.stringMatching(/^file modes: .*0644/));
    expect(said('warn')).toContainEqual(
      expect.stringMatching(/^tokens: the admin token for-ever never expires/),
    );
    expect(said('fail')).toContainEqual('grants: lastcall_coordinator has no INSERT on lastcall.failovers');
    expect(said('ok')).toContainEqual(expect.stringMatching(/^versions: PostgreSQL/));
  });
});

describe('status --watch', () => {
  it('is a table for who looks and a line a direction into a pipe, without colours when NO_COLOR says so', async () => {
    const watch = async (surroundings: CliSurroundings) => {
      const stopping = new AbortController();
      const run = await cli(['status', '--watch'], {
        ...surroundings,
        signal: stopping.signal,
        onOut: () => stopping.abort(),
      });
      return run.out;
    };
    const piped = await watch({});
    expect(piped).toMatch(/^\d{4}-.*Z a > b stopped \(never-started\)\n/);
    expect(piped).not.toContain('\u001b');
    const live = await watch({ outIsTerminal: true });
    expect(live).toContain('\u001b[31m');
    const plain = await watch({ outIsTerminal: true, env: { NO_COLOR: '1' } });
    expect(plain).toContain('direction');
    expect(plain).toMatch(/\nsite a +the api does not answer/);
    expect(plain.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(plain).not.toContain('\u001b[31m');
  });
});
