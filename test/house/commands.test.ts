import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildProgram } from '../../services/cli/program.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { commandLines, faultOf } from './documented-commands.ts';
import { readPages } from './documented-pages.ts';

const root = packageRoot();
const pages = readPages();
const program = buildProgram({ out: () => {}, err: () => {} }, async () => {});
const scripts = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts);

test('every command line in the documents is one that the programs understand', () => {
  const lines = pages.flatMap(({ path, text }) => commandLines(path, text));
  expect(lines.length).toBeGreaterThan(50);
  const faults = lines.flatMap(({ page, line }) => {
    const fault = faultOf(line, program, scripts);
    return fault === null ? [] : [`${page}: ${line}: ${fault}`];
  });
  expect(faults).toEqual([]);
});

test('a command, an option or a script that does not exist would be noticed', () => {
  const page =
    'see `lastcall terminals ad 1001`\n```sh\nnpx lastcall resync a b --because X  # why\nnpm run nothing\nnpm start -- --nowhere\nlastcall status --watch\n```\n';
  const faults = commandLines('page', page).map(({ line }) => faultOf(line, program, scripts));
  expect(faults).toEqual([
    'no option --because',
    'no script nothing',
    'no option --nowhere',
    null,
    'no command ad',
  ]);
});
