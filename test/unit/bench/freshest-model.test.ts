import { expect, test } from 'vitest';
import { callsOf } from '../../bench/chaos/call-logs.ts';
import { type Call, FreshestModel, type Verdict } from '../../bench/chaos/freshest-model.ts';

type Seen = readonly [caller: string, dialed: string, beganMs: number, endedMs: number, Partial<Call>?];

/** Answered busy by the number that was dialed, or as said. */
const call = ([caller, dialed, beganMs, endedMs, rest]: Seen, index: number): Call => ({
  callId: String(index),
  site: 'a',
  caller,
  dialed,
  beganMs,
  endedMs,
  status: 486,
  reached: [dialed],
  ...rest,
});

const AT_B = { site: 'b' };
const UNHEARD = { status: null, reached: [] };

const table: readonly (readonly [what: string, verdict: Verdict, before: readonly Seen[], last: Seen])[] = [
  [
    '*52 reaches the number dialed last',
    'right',
    [
      ['1', '2', 0, 1],
      ['1', '3', 2, 3],
    ],
    ['1', '*52', 4, 5, { reached: ['3'] }],
  ],
  [
    '*52 reaches the number dialed before',
    'wrong',
    [
      ['1', '2', 0, 1],
      ['1', '3', 2, 3],
    ],
    ['1', '*52', 4, 5, { reached: ['2'] }],
  ],
  [
    '*69 reaches who called last',
    'right',
    [
      ['1', '3', 0, 1],
      ['2', '3', 2, 3],
    ],
    ['3', '*69', 4, 5, { reached: ['2'] }],
  ],
  [
    '*69 reaches who called before',
    'wrong',
    [
      ['1', '3', 0, 1],
      ['2', '3', 2, 3],
    ],
    ['3', '*69', 4, 5, { reached: ['1'] }],
  ],
  [
    '*52 after *69 reaches the returned call',
    'right',
    [
      ['1', '2', 0, 1],
      ['2', '*69', 2, 3, { reached: ['1'] }],
    ],
    ['2', '*52', 4, 5, { reached: ['1'] }],
  ],
  [
    'of two overlapping calls the one begun first may be the fresher',
    'right',
    [
      ['1', '2', 0, 9],
      ['1', '3', 1, 2],
    ],
    ['1', '*52', 10, 11, { reached: ['2'] }],
  ],
  [
    'a call that overlaps the star code may be known already',
    'right',
    [
      ['1', '2', 0, 1],
      ['1', '3', 3, 9],
    ],
    ['1', '*52', 2, 8, { reached: ['3'] }],
  ],
  [
    'or not yet',
    'right',
    [
      ['1', '2', 0, 1],
      ['1', '3', 3, 9],
    ],
    ['1', '*52', 2, 8, { reached: ['2'] }],
  ],
  [
    'a call begun after the star code ended is not known',
    'wrong',
    [
      ['1', '2', 0, 1],
      ['1', '3', 9, 10],
    ],
    ['1', '*52', 7, 8, { reached: ['3'] }],
  ],
  [
    'a call whose end nobody heard may have been recorded',
    'right',
    [
      ['1', '2', 0, 1],
      ['1', '3', 2, 3, UNHEARD],
    ],
    ['1', '*52', 4, 5, { reached: ['3'] }],
  ],
  [
    'or not',
    'right',
    [
      ['1', '2', 0, 1],
      ['1', '3', 2, 3, UNHEARD],
    ],
    ['1', '*52', 4, 5, { reached: ['2'] }],
  ],
  [
    'a heard one after it is certain again',
    'wrong',
    [
      ['1', '3', 2, 3, UNHEARD],
      ['1', '2', 4, 5],
    ],
    ['1', '*52', 6, 7, { reached: ['3'] }],
  ],
  [
    'a call at another site is known here',
    'right',
    [
      ['1', '2', 0, 1],
      ['1', '3', 2, 3, AT_B],
    ],
    ['1', '*52', 4, 5, { reached: ['3'] }],
  ],
  [
    'or not yet',
    'right',
    [
      ['1', '2', 0, 1],
      ['1', '3', 2, 3, AT_B],
    ],
    ['1', '*52', 4, 5, { reached: ['2'] }],
  ],
  [
    'an older call at another site is never chosen',
    'wrong',
    [
      ['1', '3', 0, 1, AT_B],
      ['1', '2', 2, 3],
    ],
    ['1', '*52', 4, 5, { reached: ['3'] }],
  ],
  [
    'an unheard *69 may have dialed whom it could return',
    'right',
    [
      ['1', '2', 0, 1],
      ['2', '*69', 2, 3, UNHEARD],
    ],
    ['2', '*52', 4, 5, { reached: ['1'] }],
  ],
  [
    'two overlapping *52 are no reason for each other',
    'wrong',
    [
      ['1', '2', 0, 1],
      ['1', '*52', 4, 6, { reached: ['3'] }],
    ],
    ['1', '*52', 3, 5, { reached: ['3'] }],
  ],
  [
    'nobody is reached twice',
    'wrong',
    [
      ['1', '2', 0, 1],
      ['1', '3', 0, 1],
    ],
    ['1', '*52', 2, 3, { reached: ['2', '3'] }],
  ],
  ['480 with a number', 'refused', [['1', '2', 0, 1]], ['2', '*69', 2, 3, { status: 480, reached: [] }]],
  ['503 with a number', 'refused', [['1', '2', 0, 1]], ['2', '*69', 2, 3, { status: 503, reached: [] }]],
  ['480 without a number', 'right', [], ['2', '*69', 2, 3, { status: 480, reached: [] }]],
  ['503 is never "no number"', 'refused', [], ['2', '*69', 2, 3, { status: 503, reached: [] }]],
  ['no final response', 'failed', [['1', '2', 0, 1]], ['1', '*52', 2, 3, UNHEARD]],
  ['a plain call answered 480', 'failed', [], ['1', '2', 2, 3, { status: 480, reached: [] }]],
];

test.each(table)('%s: %s', (_, verdict, before, last) => {
  const calls = [...before, last].map(call);
  const judged = new FreshestModel().judge(calls);
  expect(judged.find((judgement) => judgement.call.callId === String(before.length))?.verdict).toBe(verdict);
});

test('calls judged earlier still count', () => {
  const model = new FreshestModel();
  model.judge([call(['1', '2', 0, 1], 0)]);
  expect(model.judge([call(['2', '*69', 2, 3, { reached: ['1'] }], 1)])[0]?.verdict).toBe('right');
  expect(model.at('dialed', '2', 4)).toEqual(new Set(['1']));
  expect(model.at('missed', '3', 4)).toEqual(new Set([null]));
});

test('once every site knows of all calls the newest counts, wherever it was dialed', () => {
  const model = new FreshestModel();
  model.judge([call(['1', '2', 0, 1], 0), call(['1', '3', 2, 3, AT_B], 1)]);
  expect(model.at('dialed', '1', 4)).toEqual(new Set(['3']));
  const look = { group: 'dialed', subscriber: '1', beganMs: 4, endedMs: 5, found: '2' } as const;
  expect(model.expectedOf({ ...look, site: 'a' })).toEqual(new Set(['2', '3']));
  expect(model.expectedOf({ ...look, site: 'b' })).toEqual(new Set(['3']));
});

test("a call's two logs meet in its Call-ID; one without an end has none", () => {
  const dialed = [
    'began 1-x 1.000000 500000.000000 1001 *52 a',
    'began 2-x 2.000000 0.000000 1002 1003 b',
    'final 1-x 1.000000 501500.000000 486',
    'began 3-x 3.000000 0.000000 1002 *69 b',
    'gone 3-x 11.000000 0.000000',
    '',
  ].join('\n');
  const reached = 'reached 1-x 1002\nreached 9-y 1003\nreached 1-x 1002\n';
  expect(callsOf(dialed, reached)).toEqual([
    {
      callId: '1-x',
      site: 'a',
      caller: '1001',
      dialed: '*52',
      beganMs: 1500,
      endedMs: 1501.5,
      status: 486,
      reached: ['1002'],
    },
    {
      callId: '2-x',
      site: 'b',
      caller: '1002',
      dialed: '1003',
      beganMs: 2000,
      endedMs: Infinity,
      status: null,
      reached: [],
    },
    {
      callId: '3-x',
      site: 'b',
      caller: '1002',
      dialed: '*69',
      beganMs: 3000,
      endedMs: 11000,
      status: null,
      reached: [],
    },
  ]);
});
