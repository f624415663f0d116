import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ERRORS } from '../../shared/domain/errors.ts';
import { describeConfig } from '../../shared/runtime/describe-config.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { anchorsOf, configKeys, spansOf, variables } from './documented-names.ts';
import { readPages } from './documented-pages.ts';

const pages = readPages();
const keys = describeConfig().flatMap((chapter) => chapter.keys);
const paths = keys.map(({ path }) => path);
const isKnown = (name: string): boolean => paths.some((path) => path === name || path.startsWith(`${name}.`));
const page = (path: string): string => readFileSync(join(packageRoot(), path), 'utf8');
/** An attribute of a span, which looks like a key. */
const NO_KEYS = new Set(['sip.status']);

test('every configuration key that a document names is one of the schema', () => {
  const named = pages.flatMap(({ path, text }) => configKeys(path, text, paths));
  expect(named.length).toBeGreaterThan(200);
  expect(named.filter(({ name }) => !isKnown(name) && !NO_KEYS.has(name))).toEqual([]);
});

test('every variable that a document names is read', () => {
  const read = new Set([
    ...keys.map(({ environment }) => environment),
    'LASTCALL_CONFIG',
    'LASTCALL_API',
    'LASTCALL_TOKEN',
    'LASTCALL_DETAIL',
  ]);
  const named = pages.flatMap(({ path, text }) => variables(path, text));
  expect(named.length).toBeGreaterThan(50);
  expect(
    named.filter(({ name }) => !read.has(name) && ![...read].some((each) => each.startsWith(`${name}_`))),
  ).toEqual([]);
});

/** docs/api.md and docs/metrics.md are held to what the services serve by tests of their own. */
test('every address, metric and error code that a document names exists', () => {
  const addresses = [...page('docs/api.md').matchAll(/^\| `(?:GET|POST|PUT|PATCH|DELETE) ([^`?]+)/gm)].map(
    ([, address = '']) => new RegExp(`^${address.replace(/\{\w+\}/g, '[^/]+')}$`),
  );
  const metrics = new Set(page('docs/metrics.md').match(/(?<=^\| `)lastcall_\w+/gm));
  expect(addresses.length).toBeGreaterThan(30);
  expect(metrics.size).toBeGreaterThan(30);
  const unknown = pages.flatMap(({ path, text }) =>
    spansOf(text)
      .filter((span) => {
        const address = /^(?:GET|POST|PUT|PATCH|DELETE) (\/v1\/[^?\s]*)/.exec(span)?.[1];
        if (address && address !== '/v1/openapi.json') return !addresses.some((each) => each.test(address));
        const metric = /^(lastcall_[a-z]\w*_(?:total|seconds|bytes|ratio|let_go|refused))\b/.exec(span)?.[1];
        if (metric) return !metrics.has(metric);
        const code = /^(?:[A-Z]+_)?(?:NOT_FOUND|UNKNOWN|EXISTS|UNREACHABLE|MISSING|FULL|REFUSED)$/.exec(span);
        return code !== null && !(code[0] in ERRORS);
      })
      .map((span) => `${path} names ${span}`),
  );
  expect(unknown).toEqual([]);
});

test('a key that does not exist would be noticed, in a sentence and in a block', () => {
  const text =
    'set `sip.maxContact` or `peers.b.sip`\n```yaml\ncalls: { featureCodes: { "*52": redial } }\nhep: { port: 1 }\n```\n';
  const named = configKeys('page', text, paths).map(({ name }) => name);
  expect(named).toEqual(['sip.maxContact', 'peers.<name>.sip', 'calls.featureCodes', 'hep.port']);
  expect(named.filter((name) => !isKnown(name))).toEqual(['sip.maxContact', 'hep.port']);
});

test('an anchor is made as GitHub makes it', () => {
  expect(anchorsOf('# FAQ\n```sh\n# no heading\n```\n## 6. The third site, and `each` one\n')).toEqual([
    'faq',
    '6-the-third-site-and-each-one',
  ]);
});
