import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { callGroup, emptyLastCalls, type LastCalls } from '../../../shared/domain/last-calls.ts';
import { micros } from '../../../shared/domain/micros.ts';
import type { KeptCalls } from '../../../shared/ring/kept-calls.ts';
import { openKept, ringDirectory } from '../../support/kept-calls.ts';

const dialed = (terminalId: number, at: number, number = `${at}`): LastCalls => ({
  ...emptyLastCalls(terminalId),
  dialed: callGroup(micros(at), { number }),
});
const missed = (terminalId: number, at: number): LastCalls => ({
  ...emptyLastCalls(terminalId),
  received: callGroup(micros(at), { number: `${at}` }),
});
const keep = (kept: KeptCalls, row: LastCalls) => {
  const version = kept.keep(row);
  if (version === null) throw new Error('the ring took nothing');
  return version;
};

test('C8 a record is a source until the table has it, and rule 30 remembered until its turn is let go', async () => {
  const kept = await openKept();
  const version = keep(kept, dialed(1, 10));
  expect(kept.pending(1)?.dialed?.number).toBe('10');
  kept.written([version]);
  expect(kept.pending(1)).toBeUndefined();
  expect(kept.find(1)?.dialed?.number).toBe('10');
  const before = kept.endTurn();
  const later = keep(kept, dialed(2, 20));
  kept.written([later]);
  kept.letGo(before);
  expect(kept.find(1)).toBeUndefined();
  expect(kept.find(2)).toBeDefined();
  kept.letGo(kept.endTurn());
  expect(kept.size).toBe(0);
});

test('R12 a later record that is written does not hide that an earlier one of the terminal was not', async () => {
  const kept = await openKept();
  const first = keep(kept, dialed(1, 10));
  kept.failed([first]);
  const second = keep(kept, missed(1, 20));
  kept.written([second]);
  expect(kept.unwritten()).toMatchObject([{ row: { dialed: { number: '10' }, received: { number: '20' } } }]);
  kept.mended(kept.unwritten());
  expect(kept.unwritten()).toEqual([]);
  expect(kept.pending(1)).toBeUndefined();
});

test('rule 30 with the database lost all of it counts as unwritten, what was written too', async () => {
  const kept = await openKept();
  kept.written([keep(kept, dialed(1, 10))]);
  kept.distrust();
  expect(kept.unwritten().map(({ terminalId }) => terminalId)).toEqual([1]);
  kept.letGo(kept.endTurn());
  expect(kept.find(1)).toBeDefined();
});

test('a full ring lets go of what only peers lack, oldest first and counted; of what the table lacks nothing', async () => {
  const kept = await openKept({ bytes: 1_048_576 });
  const unwritten = keep(kept, dialed(1, 1));
  kept.failed([unwritten]);
  for (let id = 2; kept.counts.letGo === 0; id++) kept.written([keep(kept, dialed(id, id))]);
  expect(kept.find(1)).toBeDefined();
  expect(kept.find(2)).toBeUndefined();
  for (let id = 1_000_000; ; id++) {
    const version = kept.keep(dialed(id, id));
    if (version === null) break;
    kept.failed([version]);
  }
  expect(kept.counts.refused).toBe(1);
  expect(kept.unwritten()[0]?.terminalId).toBe(1);
});

test('rule 31 stopped without a database, the next process finds what was recorded, with its own date', async () => {
  const directory = ringDirectory();
  const first = await openKept({ directory });
  first.written([keep(first, dialed(2, 20))]);
  keep(first, dialed(1, 10, '4711'));
  first.letGo(first.endTurn());
  await first.close();
  const next = await openKept({ directory, service: 'other' });
  expect(next.unwritten()).toMatchObject([{ row: dialed(1, 10, '4711') }]);
  expect(readdirSync(directory).filter((file) => file.endsWith('.ring'))).toHaveLength(1);
  await next.close();
});

test('with nothing left to keep the file goes as well', async () => {
  const directory = ringDirectory();
  const kept = await openKept({ directory });
  await kept.close();
  expect(readdirSync(directory)).toEqual([]);
});

test("a living process's ring is never touched, another site's neither; of two that reach for a dead one's, one gets it", async () => {
  const directory = ringDirectory();
  const dead = await openKept({ directory });
  keep(dead, dialed(1, 10));
  const living = await openKept({ directory });
  expect(living.unwritten()).toEqual([]);
  const otherSite = await openKept({ directory, site: 'b' });
  await dead.close();
  await otherSite.takeOver();
  expect(otherSite.size).toBe(0);
  const another = openKept({ directory });
  const [taker] = await Promise.all([another, living.takeOver()]);
  expect(taker.size + living.size).toBe(1);
  for (const each of [taker, living, otherSite]) await each.close();
});

test('a directory whose ring cannot be made is refused by name', async () => {
  const file = join(ringDirectory(), 'file');
  writeFileSync(file, '');
  await expect(openKept({ directory: join(file, 'below') })).rejects.toMatchObject({ code: 'RING_UNUSABLE' });
});

test('a directory too long for a socket works as any', async () => {
  const directory = `${ringDirectory()}/${'long/'.repeat(30)}`;
  const kept = await openKept({ directory });
  keep(kept, dialed(1, 10));
  const other = await openKept({ directory });
  expect(other.size).toBe(0);
  await kept.close();
  await other.takeOver();
  expect(other.size).toBe(1);
  await other.close();
});
