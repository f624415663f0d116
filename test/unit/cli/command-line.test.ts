import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '../../../services/cli/commands.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'lastcall-cli-'));

function file(name: string, yaml: string): string {
  const path = join(folder, name);
  writeFileSync(path, yaml);
  return path;
}

const GOOD = `
site: a
domain: lastcall.test
postgres: { url: 'postgres://lastcall_app:s3cret@127.0.0.1:1/lastcall' }
redis: { url: 'redis://127.0.0.1:1' }
`;

/** Every server of it is where nobody listens. */
const AWAY = `
site: a
domain: lastcall.test
postgres:
  url: 'postgres://lastcall_app:s3cret@127.0.0.1:1/lastcall'
  coordinatorUrl: 'postgres://lastcall_coordinator:s3cret@127.0.0.1:1/lastcall'
  replicatorUrl: 'postgres://lastcall_replicator:s3cret@127.0.0.1:1/lastcall'
  ownerUrl: 'postgres://lastcall_owner:s3cret@127.0.0.1:1/lastcall'
redis: { url: 'redis://127.0.0.1:1' }
api: { listen: '127.0.0.1:1', tokens: [{ token: 'a-token-that-is-long', role: admin }] }
peers:
  b:
    replicatorUrl: 'postgres://lastcall_peer:s3cret@127.0.0.1:1/lastcall'
    coordinatorUrl: 'postgres://lastcall_coordinator:s3cret@127.0.0.1:1/lastcall'
`;
const WORKS_ALONE = new Set(['config show', 'completion', 'hook pacemaker']);
/** What is away is their answer. */
const SHOWS_FAULTS = new Set(['status', 'doctor']);

describe('lastcall', () => {
  it('names every command in --help and explains each with --help of its own', async () => {
    const help = await runCli(['--help']);
    expect(help.exit).toBe(0);
    for (const command of commands) {
      const [first = ''] = command.name.split(' ');
      expect(help.out).toContain(first);
      const own = await runCli([...command.name.split(' '), '--help']);
      expect(own.exit, command.name).toBe(0);
      const options = (command.options ?? []).map((option) => option.flags);
      for (const shown of [...options, ...(command.arguments ?? []).map((argument) => argument.name)]) {
        expect(own.out, command.name).toContain(shown);
      }
    }
  });

  it.each([
    [['frobnicate'], 'unknown command'],
    [['status', '--frob'], 'unknown option'],
    [['lookup', '1001'], 'missing required argument'],
    [['terminals', 'add', '--number', '1006'], 'required option'],
    [['terminals', 'add', '--number', '1006', '--password-stdin'], 'the password is empty'],
    [['terminals', 'add', '--number', '1006', '--password-stdin', '--password', 'x'], 'not both'],
    [['terminals', 'add', '--number', 'abc def', '--password', 'x'], 'expected a number as dialed'],
    [
      ['terminals', 'add', '--number', '1006', '--password', 'x', '--id', 'six'],
      'expected a whole number of at least 1',
    ],
    [['terminals', 'list', '--limit', '0'], 'expected a whole number from 1 to 100000'],
    [
      ['terminals', 'add', '--number', '1', '--password', 'x', '--features', 'fly'],
      'expected some of redial',
    ],
    [['forget', '1001', '--scope', 'everything'], 'expected one of all, dialed, received, terminated'],
    [['resync', 'A', 'b'], 'expected a site'],
  ])('answers %j with status 2 and the expected form', async (argv, said) => {
    const run = await runCli(argv);
    expect(run).toMatchObject({ exit: 2, out: '' });
    expect(run.err).toContain(said);
  });

  it('says wrong usage as JSON to who asked for JSON', async () => {
    const run = await runCli(['lookup', '1001', '--json']);
    expect(run.exit).toBe(2);
    expect(JSON.parse(run.out)).toEqual({
      error: { code: 'WRONG_USAGE', message: "missing required argument 'CODE'" },
    });
  });

  it('prints its version', async () => {
    expect(await runCli(['--version'])).toMatchObject({
      exit: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  it('says where it looked when there is neither a configuration nor a lab', async () => {
    const run = await runCli(['status', '--lab', '/nonexistent']);
    expect(run.exit).toBe(2);
    expect(run.err).toMatch(/CONFIG_MISSING.*\/nonexistent\/a\.yaml.*LASTCALL_CONFIG/s);
  });

  it("takes the configuration of the lab's site when none is named", async () => {
    file('endpoints.json', '{}');
    file('b.yaml', GOOD.replace('site: a', 'site: b'));
    const run = await runCli(['config', 'show', '--lab', folder, '--site', 'b', '--json']);
    expect(run.exit).toBe(0);
    expect(JSON.parse(run.out)).toMatchObject({ site: 'b' });
  });

  it('config check reports all faults at once with path and expected form', async () => {
    const bad = file(
      'bad.yaml',
      'site: A!\ndomain: x\npostgres: { url: mysql://x }\nredis: { url: redis://x }\nsip: { udp: 5060, frob: 1 }\n',
    );
    const run = await runCli(['config', 'check', bad]);
    expect(run.exit).toBe(1);
    for (const path of ['site:', 'postgres.url:', 'sip.udp:', 'sip.frob:']) expect(run.err).toContain(path);
    expect(run.err).toContain('expected host:port');
    const json = await runCli(['config', 'check', bad, '--json']);
    expect(JSON.parse(json.out).error.faults).toHaveLength(4);
  });

  it('config check accepts a good file, and config show leaves its secrets out', async () => {
    const good = file('good.yaml', GOOD);
    expect((await runCli(['config', 'check', good])).out).toContain('ok (site a, peers none)');
    const shown = await runCli(['config', 'show', '--config', good]);
    expect(shown.exit).toBe(0);
    expect(shown.out).not.toContain('s3cret');
    expect(shown.out).toContain('lookupBudgetMs: 500');
  });

  it('prints code, cause and remedy of a failure, never a stack trace', async () => {
    const run = await runCli(['terminals', 'list', '--config', file('good.yaml', GOOD)]);
    expect(run).toMatchObject({ exit: 1, out: '' });
    expect(run.err).toMatch(/^lastcall: DATABASE_UNREACHABLE: .*\n {2}.*ECONNREFUSED/);
    expect(run.err).toContain('Check that the server runs');
    expect(run.err).not.toMatch(/\n\s+at /);
  });

  it('prints the same failure as JSON on standard output with --json, before or after the command', async () => {
    const config = file('good.yaml', GOOD);
    for (const argv of [
      ['--json', 'terminals', 'list'],
      ['terminals', 'list', '--json'],
    ]) {
      const run = await runCli([...argv, '--config', config]);
      expect(run.exit).toBe(1);
      expect(JSON.parse(run.out).error.code).toBe('DATABASE_UNREACHABLE');
    }
  });
});

describe('every command', () => {
  const path = file('away.yaml', AWAY);
  /** What each argument is; a number for those that are not named here. */
  const VALUES: Readonly<Record<string, string>> = {
    FROM: 'b',
    TO: 'a',
    SITE: 'b',
    CODE: '*52',
    SERVICE: 'api',
    SHELL: 'bash',
    NAME: 'forwardings',
    NODE: '2',
    EVENT: 'repmgrd_failover_promote',
    SUCCESS: '1',
    ACTION: 'on_role_change',
    ROLE: 'primary',
    URL: 'mariadb://u:p@127.0.0.1:1/d',
  };
  const OPTIONS: Readonly<Record<string, readonly string[]>> = {
    'terminals add': ['--number', '1001', '--password', 'x'],
    'tables add': [
      'forwardings',
      '--key',
      'terminal_id:bigint',
      '--group',
      'forward:forwarded_at(forward_to)',
    ],
    'targets add': ['--table', 'lastcalls'],
    'tokens add': ['--role', 'read'],
    salvage: ['--from', 'postgres://u:p@127.0.0.1:1/x'],
    switchover: ['--to', '127.0.0.1:1'],
  };

  it.each(commands)(
    '$name while all is away says what is away by its code, and never INTERNAL',
    async ({ arguments: named = [], name }) => {
      const given = named
        .filter(({ optional }) => !optional)
        .map((argument) => VALUES[argument.name] ?? '1001');
      const run = await runCli([
        ...name.split(' '),
        ...given,
        ...(OPTIONS[name] ?? []),
        '--json',
        '--config',
        path,
      ]);
      const { error } = JSON.parse(run.out) as { error?: { code: string } };
      if (WORKS_ALONE.has(name)) expect(run, run.out).toMatchObject({ exit: 0 });
      else if (SHOWS_FAULTS.has(name)) expect(error).toBeUndefined();
      else expect(error?.code, run.out).toMatch(/_UNREACHABLE$|^INVALID_VALUE$|^CONFIG_INVALID$/);
    },
  );
});
