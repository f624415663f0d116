import { expect, test } from 'vitest';
import { importedPath, importsOf, readSources, type SourceFile } from '../support/sources.ts';

/** What a part may import besides itself. Services meet in PostgreSQL, Redis, SIP and HTTP, never in code. */
const ARROWS: Record<string, readonly string[]> = {
  'shared/domain': [],
  'shared/runtime': ['shared/domain'],
  'shared/sip': ['shared/domain', 'shared/runtime'],
  'shared/postgres': ['shared/domain', 'shared/runtime'],
  'shared/redis': ['shared/domain', 'shared/runtime'],
  'shared/ring': ['shared/domain', 'shared/runtime'],
  'shared/recording': ['shared/domain', 'shared/runtime', 'shared/postgres', 'shared/redis', 'shared/ring'],
  'shared/targets': ['shared/domain', 'shared/runtime', 'shared/postgres'],
  'shared/servers': ['shared/runtime'],
};
const SHARED = Object.keys(ARROWS);

/** `shared/sip/message/parse.ts` is of the part `shared/sip`. */
const partOf = (path: string): string => path.split('/').slice(0, 2).join('/');
const allowed = (part: string): readonly string[] =>
  ARROWS[part] ?? (part.startsWith('services/') ? SHARED : []);

function violations(file: SourceFile): string[] {
  const part = partOf(file.path);
  return file.imports
    .map((specifier) => importedPath(file, specifier))
    .filter((path) => path !== null)
    .filter((path) => partOf(path) !== part && !allowed(part).includes(partOf(path)))
    .map((path) => `${file.path} imports ${path}`);
}

test('arrows go one way: domain <- runtime <- sip, postgres, redis, ring <- recording <- services, and services never meet in code', () => {
  const sources = readSources('shared', 'services');
  expect(sources.length).toBeGreaterThan(50);
  expect(sources.flatMap(violations)).toEqual([]);
});

test('the domain is pure: it imports no package and no module of Node', () => {
  const impure = readSources('shared/domain').flatMap((file) =>
    file.imports.filter((name) => !name.startsWith('.')).map((name) => `${file.path} imports ${name}`),
  );
  expect(impure).toEqual([]);
});

test('the domain is pure: it reads no clock and no chance', () => {
  const impure = readSources('shared/domain').filter((file) =>
    /\bDate\.now\(|\bnew Date\(\)|\bperformance\.|\bMath\.random\(|\bprocess\./.test(file.text),
  );
  expect(impure.map((file) => file.path)).toEqual([]);
});

test('relative imports name the file with its ending', () => {
  const unclear = readSources('shared', 'services', 'test').flatMap((file) =>
    file.imports
      .filter((name) => name.startsWith('.') && !/\.(tsx?|mjs|json)$/.test(name))
      .map((name) => `${file.path} imports ${name}`),
  );
  expect(unclear).toEqual([]);
});

test('an import is seen in every form it is written in', () => {
  const text = `import a from '1';\nimport {\n b,\n} from '2';\nexport * from '3';\nimport '4';\nawait import('5');\n// from '6'`;
  expect(importsOf(text)).toEqual(['1', '2', '3', '4', '5']);
});

test('no file imports itself by way of others, not even its types', () => {
  const imports = new Map(
    readSources('shared', 'services').map((file) => [
      file.path,
      file.imports.map((specifier) => importedPath(file, specifier)).filter((path) => path !== null),
    ]),
  );
  expect([...imports.keys()].flatMap((path) => circleFrom(path, imports) ?? [])).toEqual([]);
});

/** The way from a file back to itself, null when there is none. */
function circleFrom(start: string, imports: ReadonlyMap<string, readonly string[]>): string | null {
  const ways = [[start]];
  const seen = new Set<string>();
  for (const way of ways)
    for (const next of imports.get(way.at(-1) ?? '') ?? []) {
      if (next === start) return [...way, next].join(' -> ');
      if (!seen.has(next)) ways.push([...way, next]);
      seen.add(next);
    }
  return null;
}
