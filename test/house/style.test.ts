import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { readSources, type SourceFile } from '../support/sources.ts';

const LONGEST_FILE_LINES = 400;

test('a file is named for its one idea, never utils, helpers or manager', () => {
  const vague = readSources('shared', 'services', 'test').filter((file) =>
    /(^|[/-])(utils?|helpers?|manager|misc|common)\.ts$/i.test(file.path),
  );
  expect(vague.map((file) => file.path)).toEqual([]);
});

test('no file grows beyond what one can hold in mind', () => {
  const long = readSources('shared', 'services', 'test').filter(
    (file) => file.text.split('\n').length > LONGEST_FILE_LINES,
  );
  expect(long.map((file) => file.path)).toEqual([]);
});

test('no line of SQL is wider than 120', () => {
  const folder = join(packageRoot(), 'sql');
  const wide = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .flatMap((name) =>
      readFileSync(join(folder, name), 'utf8')
        .split('\n')
        .flatMap((line, index) => (line.length > 120 ? [`${name}:${index + 1}`] : [])),
    );
  expect(wide).toEqual([]);
});

test('a SQLSTATE that decides something is named in shared/postgres/sqlstate.ts', () => {
  // The servers that tests and the lab start know nothing of Lastcall.
  const literal = /'(?:LC00\d|\d\w[P\d]\d\d)'/;
  const bare = readSources('shared', 'services').filter(
    ({ path, text }) => !/^shared\/(servers\/|postgres\/sqlstate.ts)/.test(path) && literal.test(text),
  );
  expect(bare.map((file) => file.path)).toEqual([]);
});

test('no test is skipped, focused or left to do', () => {
  const idle = readSources('test').filter((file) =>
    /\b(test|it|describe)\.(skip|skipIf|only|todo|fails)\b|\b(xit|xdescribe|fdescribe|fit)\(/.test(file.text),
  );
  expect(idle.map((file) => file.path)).toEqual([]);
});

test('only shared/runtime/config.ts reads the environment; a main.ts may hand it over, the lab and the servers it starts pass it on', () => {
  const mayTouch =
    /^(shared\/runtime\/config\.ts|shared\/servers\/|services\/[a-z-]+\/main\.ts|services\/lab\/)/;
  const readers = readSources('shared', 'services').filter((file) => /\bprocess\.env\b/.test(file.text));
  expect(readers.map((file) => file.path).filter((path) => !mayTouch.test(path))).toEqual([]);
});

test('every imported package is a dependency of its own, not one that another brought along', () => {
  const manifest = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
  const isConsole = ({ path }: SourceFile) => path.startsWith('services/console/');
  const sources = readSources('shared', 'services');
  const imported = packagesOf(sources.filter((file) => !isConsole(file)));
  expect(imported.filter((name) => !(name in manifest.dependencies))).toEqual([]);
  // The console is built into one script, so that a server needs none of its packages.
  const bundled = packagesOf(sources.filter(isConsole));
  expect(bundled.filter((name) => !(name in manifest.devDependencies))).toEqual([]);
});

function packagesOf(sources: readonly SourceFile[]): string[] {
  const names = sources
    .flatMap((file) => file.imports)
    .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
    .map((name) =>
      name.startsWith('@') ? name.split('/').slice(0, 2).join('/') : (name.split('/')[0] as string),
    );
  return [...new Set(names)];
}
