import { existsSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { anchorsOf } from './documented-names.ts';
import { readPages } from './documented-pages.ts';

const PLACE = /`((?:services|shared|sql|test|docs|sip-scenarios)\/[\w./-]*[\w/])`/g;
const LINK = /\]\(([^)#\s]+)(?:#[^)\s]*)?\)/g;
const ANCHOR = /\]\(([^)#\s]*)#([^)\s]+)\)/g;

const pages = readPages();

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

test('every anchor of a link is a heading of the page it leads to', () => {
  const anchored = pages.flatMap(({ path, text }) =>
    [...text.matchAll(ANCHOR)]
      .filter(([, target = '']) => !/^[a-z]+:/.test(target))
      .map(([, target = '', anchor = '']) => ({
        from: path,
        to: target === '' ? path : posix.join(posix.dirname(path), target),
        anchor,
      })),
  );
  expect(anchored.length).toBeGreaterThan(1);
  const headings = new Map(pages.map(({ path, text }) => [path, anchorsOf(text)]));
  expect(anchored.filter(({ to, anchor }) => !headings.get(to)?.includes(anchor))).toEqual([]);
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
