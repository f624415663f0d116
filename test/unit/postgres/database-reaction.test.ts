import { pino } from 'pino';
import { expect, test } from 'vitest';
import { followDatabase, logDatabase } from '../../../shared/postgres/database-reaction.ts';

const HOST = '127.0.0.1:5432';

/** A logger, and what it wrote. */
function collected() {
  const lines: { level: number; msg: string; err?: { message: string } }[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}

test('a loss is a warning, the search begins quietly, and what is found is told with its site', () => {
  const { log, lines } = collected();
  const tell = logDatabase(log, 'a');
  tell({ state: 'down', host: HOST, reason: 'gone', attempt: 0 });
  tell({ state: 'down', host: HOST, reason: 'refused', attempt: 1 });
  tell({ state: 'up', host: HOST, attempt: 2 });
  expect(lines).toMatchObject([
    { level: 40, of: 'a', reason: 'gone', attempt: 0 },
    { level: 20, of: 'a', reason: 'refused', attempt: 1 },
    { level: 30, of: 'a', host: HOST },
  ]);
});

test('R12 a database found drains the journal and is given the late records; one lost does neither', () => {
  const told: string[] = [];
  const parts = {
    log: collected().log,
    journal: { setDraining: (draining: boolean) => void told.push(draining ? 'drain' : 'keep') },
    writer: {
      databaseFound: async () => void told.push('found'),
      databaseLost: () => void told.push('lost'),
    },
  };
  followDatabase(parts, true);
  followDatabase(parts, false);
  expect(told).toEqual(['drain', 'found', 'keep', 'lost']);
});

test('late records that could not be written again are a warning, not the end of the process', async () => {
  const { log, lines } = collected();
  const rewrite = Promise.reject(new Error('lost again'));
  const writer = { databaseFound: () => rewrite, databaseLost: () => {} };
  followDatabase({ log, journal: { setDraining: () => {} }, writer }, true);
  await rewrite.catch(() => {});
  expect(lines).toMatchObject([{ level: 40, err: { message: 'lost again' } }]);
});
