import { expect, test } from 'vitest';
import { parseCommandLine, UsageError } from '../../../services/lab/options.ts';

const run = (...args: string[]) => {
  const command = parseCommandLine(args);
  if (command.do !== 'run' && command.do !== 'detach') throw new Error(`expected a start, got ${command.do}`);
  return command.options;
};

test('without arguments: two sites, five terminals, embedded PostgreSQL, loopback', () => {
  expect(run()).toEqual({
    portOffset: 0,
    data: '.lab',
    terminals: 5,
    sites: 2,
    listen: '127.0.0.1',
    postgres: { kind: 'embedded' },
    highAvailability: false,
  });
});

test('each option is read in both ways of writing it', () => {
  const options = run(
    '--port-offset',
    '1000',
    '--data=/tmp/x',
    '--terminals=20',
    '--sites',
    '3',
    '--pg',
    'system',
  );
  expect(options).toMatchObject({ portOffset: 1000, data: '/tmp/x', terminals: 20, sites: 3 });
  expect(options.postgres).toEqual({ kind: 'system' });
});

test('--pg takes one URL for each site, also of several hosts', () => {
  const [a, b] = ['postgres://u:p@h1:1,h2:2/lastcall', 'postgresql://u:p@h3/lastcall'];
  expect(run('--pg', `${a},${b}`).postgres).toEqual({ kind: 'urls', urls: [a, b] });
});

test.each([
  [['--port-offset', 'x'], /--port-offset: expected a whole number from 0 to 9000, found "x"/],
  [['--port-offset', '-1'], /port-offset/],
  [['--port-offset', '9001'], /from 0 to 9000/],
  [['--terminals', '0'], /from 1 to 100000, found "0"/],
  [['--terminals', '1e3'], /--terminals/],
  [['--sites', '1'], /from 2 to 5/],
  [['--listen', 'example.com'], /IP address/],
  [['--listen', '0.0.0.0'], /phones reach this machine/],
  [['--pg', 'mysql'], /embedded, system, or postgres:/],
  [['--pg', 'postgres://u:p@h/d'], /names 1 databases for 2 sites/],
  [['--pg', 'postgres://u:p@h/d,postgres://u:p@h/e', '--ha'], /--ha makes its own servers/],
  [['--halt', 'postgres'], /a site or one part of it/],
  [['--unknown'], /--unknown/],
  [['stray'], /stray/],
  [['--data'], /data/],
])('%j is a usage error that says what was expected', (args, message) => {
  expect(() => parseCommandLine(args)).toThrow(UsageError);
  expect(() => parseCommandLine(args)).toThrow(message);
});

test('a usage error never repeats a password', () => {
  expect(() => parseCommandLine(['--pg', 'postgres://u:geheim@host'])).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('geheim') }),
  );
});

test('a site or one of its parts is taken down and started again', () => {
  expect(parseCommandLine(['--halt', 'b'])).toEqual({
    do: 'halt',
    data: '.lab',
    part: { site: 'b', part: null },
  });
  expect(parseCommandLine(['--revive', 'a.call-control', '--data', 'x'])).toEqual({
    do: 'revive',
    data: 'x',
    part: { site: 'a', part: 'call-control' },
  });
});
