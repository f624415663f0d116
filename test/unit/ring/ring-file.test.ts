import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RingFile, readRing } from '../../../shared/ring/ring-file.ts';
import { ringDirectory } from '../../support/kept-calls.ts';

const MIB = 1_048_576;

/** A ring, its file, and what each key's text is now. */
function ring(bytes = MIB) {
  const path = join(ringDirectory(), 'a.ring');
  const texts = new Map<number, string>();
  const file = new RingFile({ path, bytes, textOf: (key) => texts.get(key) ?? '' });
  const put = (key: number, text: string): boolean => {
    const taken = file.put(key, text);
    if (taken) texts.set(key, text);
    return taken;
  };
  /** What the next process would find, the last text of each key. */
  const found = () => new Map(readRing(path).map((text) => [Number(text.split(' ')[0]), text]));
  return { path, file, texts, put, found };
}

test('rule 31 what was put is read back in order, from a file of the size asked for and for this user alone', () => {
  const { path, put } = ring();
  for (let key = 1; key <= 3; key++) expect(put(key, `${key} text`)).toBe(true);
  expect(readRing(path)).toEqual(['1 text', '2 text', '3 text']);
  const { mode, size } = statSync(path);
  expect(mode & 0o777).toBe(0o600);
  expect(size).toBeGreaterThan(MIB * 0.99);
  expect(size).toBeLessThanOrEqual(MIB);
});

test('rule 31 round and round: what stands is never overwritten, whatever is written in between', () => {
  const { file, texts, put, found } = ring();
  for (let key = 0; key < 100; key++) put(key, `${key} stays ${'x'.repeat(key * 7)}`);
  for (let round = 0; round < 40_000; round++)
    expect(put(1_000 + (round % 300), `${1_000 + (round % 300)} ${round} ${'y'.repeat(round % 500)}`)).toBe(
      true,
    );
  const left = found();
  for (const [key, text] of texts) expect(left.get(key)).toBe(text);
  expect(file.usedBytes).toBeLessThan(file.limitBytes);
});

test('what is released is not read again', () => {
  const { path, file, put } = ring();
  for (let key = 1; key <= 5; key++) put(key, `${key}`);
  for (const key of [1, 2, 4]) file.delete(key);
  file.release();
  expect(readRing(path)).toEqual(['3', '4', '5']);
  for (const key of [3, 5]) file.delete(key);
  file.release();
  expect(readRing(path)).toEqual([]);
});

test('a full ring takes nothing more, loses nothing that stands, and takes again what fits once some is deleted', () => {
  const { file, texts, put, found } = ring();
  let key = 0;
  while (put(key, `${key} ${'z'.repeat(900)}`)) key++;
  expect(key).toBeGreaterThan(600);
  expect(put(1, '1 longer'.padEnd(2_000))).toBe(false);
  const left = found();
  for (const [each, text] of texts) expect(left.get(each)).toBe(text);
  file.delete(0);
  expect(put(key, `${key} ${'z'.repeat(900)}`)).toBe(true);
});

test('a torn frame ends its segment, and nothing before it is lost', () => {
  const { path, put } = ring();
  for (let key = 1; key <= 3; key++) put(key, `${key} text`);
  const content = readFileSync(path);
  const at = content.lastIndexOf('3 text');
  content[at] = 0;
  writeFileSync(path, content);
  expect(readRing(path)).toEqual(['1 text', '2 text']);
});

test('a file that is no ring holds nothing', () => {
  const path = join(ringDirectory(), 'a.ring');
  writeFileSync(path, 'something else');
  expect(readRing(path)).toEqual([]);
});
