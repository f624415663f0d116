import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../shared/runtime/package-root.ts';

const PLACE = /`((?:services|shared|sql|test|docs|sip-scenarios)\/[\w./-]*[\w/])`/g;
const LINK = /\]\(([^)#\s]+)(?:#[^)\s]*)?\)/g;

const pages = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: packageRoot(),
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((path) => existsSync(join(packageRoot(), path)))
  .map((path) => ({ path, text: readFileSync(join(packageRoot(), path), 'utf8') }));

test('every link between documents leads somewhere', () => {
  expect(pages.length).toBeGreaterThan(10);
  const dead = pages.flatMap(({ path, text }) =>
    [...text.matchAll(LINK)]
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(join(packageRoot(), dirname(path), target)))
      .map((target) => `${path} links to ${target}`),
  );
  expect(dead).toEqual([]);
});

test('every file that a document names stands there', () => {
  const missing = pages.flatMap(({ path, text }) =>
    [...text.matchAll(PLACE)]
      .map(([, place = '']) => place)
      .filter((place) => !existsSync(join(packageRoot(), place)))
      .map((place) => `${path} names ${place}`),
  );
  expect(missing).toEqual([]);
});
