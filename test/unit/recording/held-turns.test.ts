import { expect, test } from 'vitest';
import { parseLsn } from '../../../shared/domain/lsn.ts';
import { HeldTurns } from '../../../shared/recording/held-turns.ts';

const position = (written: string, held: string | null, peers = 1) => ({
  written: parseLsn(written),
  held: held === null ? null : parseLsn(held),
  peers,
});

test('rule 30 a turn is held once every peer has passed its end, whatever the clock says', () => {
  const turns = new HeldTurns(600_000);
  expect(turns.ask(1)(position('0/100', '0/90'), 0)).toBeNull();
  expect(turns.ask(2)(position('0/200', '0/99'), 10 * 600_000)).toBeNull();
  expect(turns.ask(3)(position('0/300', '0/200'), 10 * 600_000)).toBe(2);
  expect(turns.ask(4)(position('0/300', '0/300'), 10 * 600_000)).toBe(4);
});

test('rule 30 while one peer does not stream nothing is held', () => {
  const turns = new HeldTurns(600_000);
  expect(turns.ask(1)(position('0/100', null), 0)).toBeNull();
  expect(turns.ask(2)(position('0/100', null), 10 * 600_000)).toBeNull();
});

test('rule 30 a position of before a loss of the database says nothing of after it', () => {
  const turns = new HeldTurns(600_000);
  const asked = turns.ask(1);
  turns.clear();
  expect(asked(position('0/100', '0/200'), 0)).toBeNull();
  turns.ask(2)(position('0/400', '0/300'), 0);
  turns.clear();
  expect(turns.ask(3)(position('0/500', '0/450'), 0)).toBeNull();
});

test('without a peer a turn is remembered for a time', () => {
  const turns = new HeldTurns(600_000);
  expect(turns.ask(1)(position('0/100', null, 0), 0)).toBeNull();
  expect(turns.ask(2)(position('0/100', null, 0), 600_000)).toBe(1);
});

test('what is remembered of an absent peer is bounded, and still ends when it is back', () => {
  const turns = new HeldTurns(600_000);
  for (let turn = 1; turn <= 5_000; turn++) turns.ask(turn)(position('0/100', null), turn);
  expect(turns.ask(5_001)(position('0/200', '0/100'), 0)).toBe(5_000);
});
