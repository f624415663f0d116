import { expect, test } from 'vitest';
import type { ChosenEntry, LastCalls, TableEntry } from '../../../services/console/answers.ts';
import { fates } from '../../../services/console/why-chosen.ts';

const at = (second: number): string => `2026-11-21T10:00:${String(second).padStart(2, '0')}.000000Z`;
const entry = (number: string | null, second: number): TableEntry => ({ number, at: at(second) });

function calls(
  chosen: ChosenEntry | null,
  tables: Record<string, TableEntry | null>,
  unreadable: string[] = [],
): LastCalls {
  return {
    terminalId: 1,
    dialed: chosen,
    received: null,
    terminated: null,
    tables: Object.fromEntries(
      Object.entries(tables).map(([source, dialed]) => [
        source,
        { dialed, received: null, terminated: null },
      ]),
    ),
    degraded: unreadable.length > 0,
    unreadable,
  };
}
const chosen = (number: string | null, second: number, site: string): ChosenEntry => ({
  ...entry(number, second),
  site,
  withheld: number === null,
});

test.each<[string, LastCalls, Record<string, object>]>([
  ['C1 nothing anywhere', calls(null, { a: null, b: null }), { a: { kind: 'empty' }, b: { kind: 'empty' } }],
  [
    'C3 one entry alone',
    calls(chosen('1', 5, 'b'), { a: null, b: entry('1', 5) }),
    { a: { kind: 'empty' }, b: { kind: 'winner', why: 'the only entry' } },
  ],
  [
    'C4 the newest date',
    calls(chosen('1', 9, 'a'), { a: entry('1', 9), b: entry('2', 5) }),
    { a: { kind: 'winner', why: 'the newest date' }, b: { kind: 'older', byMs: 4_000 } },
  ],
  [
    'C4 equal dates',
    calls(chosen('1', 9, 'a'), { a: entry('1', 9), b: entry('2', 9) }),
    { a: { kind: 'winner', why: 'same date, lower site' }, b: { kind: 'same' } },
  ],
  [
    'C5 a withheld winner',
    calls(chosen(null, 9, 'b'), { a: entry('1', 5), b: entry(null, 9) }),
    { a: { kind: 'older', byMs: 4_000 }, b: { kind: 'winner', why: 'the newest date' } },
  ],
  [
    'C6 a table that cannot be read',
    calls(chosen('1', 5, 'b'), { a: null, b: entry('1', 5) }, ['a']),
    { a: { kind: 'unreadable' }, b: { kind: 'winner', why: 'the only entry' } },
  ],
  [
    'C8 a pending write of this site',
    calls(chosen('1', 9, 'a'), { a: entry('3', 5), b: null, pending: entry('1', 9) }),
    {
      a: { kind: 'older', byMs: 4_000 },
      b: { kind: 'empty' },
      pending: { kind: 'winner', why: 'the newest date' },
    },
  ],
  [
    'C9 a forgotten entry, though newer',
    calls(chosen('1', 5, 'b'), { a: entry('3', 9), b: entry('1', 5) }),
    { a: { kind: 'forgotten' }, b: { kind: 'winner', why: 'the only entry' } },
  ],
  ['C9 everything forgotten', calls(null, { a: entry('3', 9) }), { a: { kind: 'forgotten' } }],
])('%s', (_case, answer, expected) => {
  expect(Object.fromEntries(fates(answer, 'dialed', 'a'))).toEqual(expected);
});
