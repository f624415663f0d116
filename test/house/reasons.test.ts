import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { readSources } from '../support/sources.ts';

/** The unions that a direction's reason comes from, and the words that status adds of its own. */
const UNION = /export type (?:DirectionReason|KindReason|ResyncReason|BeatFault) =([^;]*);/g;
const SAID = /\breason: (?:row\.reason \?\? )?'([a-z]+(?:-[a-z]+)+)'/g;
const SAYING = [
  'shared/postgres/directions/replication-status.ts',
  'services/replicator/target-feed.ts',
  'services/replicator/fault.ts',
];

test('every reason that status can show stands on its page, with what to do', () => {
  const page = readFileSync(join(packageRoot(), 'docs/operations/reasons.md'), 'utf8');
  const explained = [...page.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, words = '']) =>
    [...words.matchAll(/`([^`]+)`/g)].map(([, word]) => word),
  );
  const sources = readSources('shared', 'services');
  const unions = sources.flatMap(({ text }) => [...text.matchAll(UNION)].map(([, union = '']) => union));
  expect(unions).toHaveLength(4);
  const words = unions.flatMap((union) => [...union.matchAll(/'([a-z-]+)'/g)].map(([, word]) => word));
  const said = sources
    .filter(({ path }) => SAYING.includes(path))
    .flatMap(({ text }) => [...text.matchAll(SAID)].map(([, word]) => word));
  expect(said).toContain('replicator-silent');
  expect(new Set(explained)).toEqual(new Set([...words, ...said]));
});
