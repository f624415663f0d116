import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { readSources } from '../support/sources.ts';

const QUOTED = /\b(?:[CRFSGI][1-9]\d?|rules? \d{1,2}(?:(?:, \d{1,2})*(?: and| to) \d{1,2})?)\b/g;
/** Lower-case and spelled one by one: `rules 22 and 23` are two. */
const rulesIn = (text: string): string[] =>
  (text.match(QUOTED) ?? []).flatMap((quote) =>
    quote.startsWith('rule') ? (quote.match(/\d+/g) ?? []).map((number) => `rule ${number}`) : [quote],
  );

test('every rule that code or test quotes is defined in docs/rules.md', () => {
  const page = readFileSync(join(packageRoot(), 'docs/rules.md'), 'utf8');
  const defined = new Set([...page.matchAll(/^\| ([A-Z]\d+|rule \d+) \|/gm)].map(([, rule]) => rule));
  expect(defined.size).toBeGreaterThan(80);
  const unknown = readSources('shared', 'services', 'test').flatMap((file) =>
    rulesIn(file.text)
      .filter((rule) => !defined.has(rule))
      .map((rule) => `${file.path} quotes ${rule}`),
  );
  expect(unknown).toEqual([]);
});

test('a rule is found in every form it is quoted in', () => {
  expect(rulesIn('C7 and F16, rules 22 and 23, rule 5; (R13, I2)')).toEqual([
    'C7',
    'F16',
    'rule 22',
    'rule 23',
    'rule 5',
    'R13',
    'I2',
  ]);
});
