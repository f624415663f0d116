import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { wireApi } from '../../services/api/wire.ts';
import { commands } from '../../services/cli/commands.ts';
import { parseConfig } from '../../shared/runtime/config.ts';
import { readSources } from '../support/sources.ts';

const { app, parts } = wireApi(
  parseConfig(`
site: a
domain: lastcall.test
postgres: { url: 'postgres://u:p@127.0.0.1:1/x' }
redis: { url: 'redis://127.0.0.1:1' }`),
  pino({ level: 'silent' }),
);
afterAll(async () => {
  await app.close();
  for (const part of parts) if (part.name !== 'http') await part.stop?.();
});

/** Tests against real servers; a usage error alone exercises nothing. */
const REAL = readSources(
  'test/pg',
  'test/redis',
  'test/sites',
  'test/faults',
  'test/web',
  'test/support',
).map(({ text }) => text);
const WITHOUT = readSources('test/unit/cli', 'test/unit/api').map(({ text }) => text);
/** These need no server: they read a file, or nothing. */
const SERVERLESS = new Set([
  'config check',
  'config show',
  'completion',
  'GET /v1/console',
  'GET /v1/console/accounts',
]);

/** `'POST', '/v1/calls'`, or for GET the address alone. */
function exercises(text: string, method: string, path: string): boolean {
  const address = path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '[^/\'"`?\\s]+');
  const end = '(?=[\'"`?]|\\$\\{)';
  return method === 'GET'
    ? new RegExp(`(?<!'(?:POST|PUT|PATCH|DELETE)',\\s*)['"\`}]${address}${end}`).test(text)
    : new RegExp(`'${method}'[^;]{0,80}?['"\`}]${address}${end}`).test(text);
}

/** `'terminals', 'add'`, `'lookup'` or `lastcall('bans list ...`. */
function runs(text: string, name: string): boolean {
  const words = name.split(' ').map((word) => `['"\`]${word}['"\`]`);
  return (
    new RegExp(`[([]\\s*(?:'[ab]',\\s*)?${words.join(',\\s*')}`).test(text) ||
    new RegExp(`['"\`](?:lastcall )?${name}['"\` ]`).test(text)
  );
}

test('every operation of the OpenAPI document is asked for by a test against a real site', async () => {
  const { paths } = (await app.inject('/v1/openapi.json')).json<{ paths: Record<string, object> }>();
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => [method.toUpperCase(), path] as const),
  );
  expect(operations.length).toBeGreaterThan(25);
  const unasked = operations.filter(([method, path]) => {
    const tests = SERVERLESS.has(`${method} ${path}`) ? WITHOUT : REAL;
    return !tests.some((text) => exercises(text, method, path));
  });
  expect(unasked.map((operation) => operation.join(' '))).toEqual([]);
});

test('every command is run by a test against a real site, unless it needs none', () => {
  const unrun = commands.filter(
    ({ name }) => !(SERVERLESS.has(name) ? WITHOUT : REAL).some((text) => runs(text, name)),
  );
  expect(unrun.map(({ name }) => name)).toEqual([]);
});

test('an address or a command that no test names would be noticed', () => {
  const text = "await rest('a', 'POST', '/v1/terminals/5/lastcalls?x'); cli('tables', 'add', file)";
  expect(exercises(text, 'POST', '/v1/terminals/{terminalId}/lastcalls')).toBe(true);
  expect(exercises(text, 'GET', '/v1/terminals/{terminalId}/lastcalls')).toBe(false);
  expect(exercises(text, 'POST', '/v1/terminals/{terminalId}')).toBe(false);
  expect(runs(text, 'tables add')).toBe(true);
  expect(runs(text, 'tables list')).toBe(false);
});
