import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseFreshest } from '../../../shared/domain/choose-freshest.ts';
import {
  type CallFacts,
  calleeRecord,
  dialedRecord,
  erasedRecord,
  outcomeOf,
  recordDate,
  skewBeyond,
} from '../../../shared/domain/last-call-record.ts';
import { mergeLastCalls } from '../../../shared/domain/last-calls.ts';
import { micros } from '../../../shared/domain/micros.ts';

const ALICE = { terminalId: 1, userId: 11, number: '1001', numberId: 101 };
const BOB = { terminalId: 2, userId: 12, number: '1002', numberId: 102 };
const AT = micros(1_795_232_820_123_456);
const call = (facts: Partial<CallFacts> = {}): CallFacts => ({
  callId: 'call-1',
  from: ALICE,
  caller: { number: '1001', uri: 'sip:1001@lastcall.test', withheld: null },
  callerDialable: '1001',
  to: BOB,
  dialed: '1002',
  dialedNumberId: 102,
  emergency: false,
  forwardedBy: null,
  originalCalled: null,
  privacy: [],
  ...facts,
});
const withheld = call({ caller: { number: null, uri: null, withheld: 'privacy' }, callerDialable: null });

describe('the caller’s record', () => {
  it('R3 is written at the first INVITE, whatever becomes of the call', () => {
    expect(dialedRecord(call(), AT)).toMatchObject({
      terminalId: 1,
      userId: 11,
      dialed: { at: AT, number: '1002', numberId: 102 },
      received: null,
      terminated: null,
      unknownPaiAt: null,
    });
  });

  it('F16 holds the privacy that the call asked for, when it hides the caller', () => {
    const asked = (...privacy: string[]) => dialedRecord(call({ privacy }), AT)?.dialed?.privacy;
    expect([asked('user', 'id'), asked('critical', 'header'), asked('none'), asked()]).toEqual([
      'id;user',
      'header;critical',
      null,
      null,
    ]);
    expect([asked('history'), asked('id', 'x-unheard-of')]).toEqual([null, 'id']);
  });

  it('R1 R4 holds the digits as dialed, after a feature code the resolved number', () => {
    expect(dialedRecord(call({ dialed: '0-30.123' }), AT)?.dialed?.number).toBe('030123');
  });

  it('R2 emergency calls are never recorded, at neither end', () => {
    expect(dialedRecord(call({ emergency: true }), AT)).toBeNull();
    expect(calleeRecord(call({ emergency: true }), 'missed', AT)).toBeNull();
  });

  it('R3 a caller who is nobody’s terminal here has no record', () => {
    expect(dialedRecord(call({ from: null }), AT)).toBeNull();
  });

  it.each<[string, Partial<CallFacts>]>([
    ['the same terminal by another of its names', { to: ALICE, dialed: 'alice' }],
    ['the own number at another site', { to: null, dialed: '1001' }],
    ['the own number written otherwise', { to: null, dialed: '10-01' }],
    ['the own number, escaped', { to: null, dialed: '%31001' }],
    ['a trunk that asserts the called number itself', { from: null, callerDialable: '1002' }],
  ])('R8 caller equals callee is not recorded: %s', (_, facts) => {
    expect(dialedRecord(call(facts), AT)).toBeNull();
    expect(calleeRecord(call(facts), 'missed', AT)).toBeNull();
  });
});

describe('the callee’s record', () => {
  it('R10 an answered call is terminated, with everything known about it', () => {
    const row = calleeRecord(call({ forwardedBy: '1003', originalCalled: '1004' }), 'answered', AT);
    expect(row).toMatchObject({
      terminalId: 2,
      userId: 12,
      received: null,
      dialed: null,
      unknownPaiAt: null,
    });
    expect(row?.terminated).toEqual({
      at: AT,
      number: '1001',
      numberId: 101,
      callId: 'call-1',
      userNumber: '1002',
      userNumberId: 102,
      forwardedBy: '1003',
      originalCalled: '1004',
      sipUri: 'sip:1001@lastcall.test',
      privacy: null,
    });
  });

  it('R10 an unanswered call is received', () => {
    const row = calleeRecord(call(), 'missed', AT);
    expect(row?.terminated).toBeNull();
    expect(row?.received).toMatchObject({ at: AT, number: '1001', callId: 'call-1' });
  });

  it('R4 the caller’s number is stored as the subscriber dials it', () => {
    expect(calleeRecord(call({ callerDialable: '01001' }), 'missed', AT)?.received?.number).toBe('01001');
  });

  it('R6 A calls B, B forwards to C: the last caller of C is A', () => {
    const row = calleeRecord(call({ forwardedBy: '1003', originalCalled: '1003' }), 'missed', AT);
    expect(row?.received).toMatchObject({ number: '1001', forwardedBy: '1003', originalCalled: '1003' });
  });

  it.each(['missed', 'answered'] as const)(
    'R7 a withheld caller that was %s leaves the date, no digits, and the unknown date',
    (outcome) => {
      const row = calleeRecord(withheld, outcome, AT);
      const group = outcome === 'missed' ? row?.received : row?.terminated;
      expect(group).toMatchObject({ at: AT, number: null, numberId: null, sipUri: null, callId: 'call-1' });
      expect(row?.unknownPaiAt).toBe(AT);
      expect(JSON.stringify(row)).not.toContain('1001');
    },
  );

  it('R11 a call refused by policy leaves nothing', () => {
    expect(calleeRecord(call(), 'refused', AT)).toBeNull();
  });

  it('R15 another site delivers: nothing is written here', () => {
    expect(calleeRecord(call({ to: null }), 'missed', AT)).toBeNull();
  });
});

describe('the outcome by the final status', () => {
  it.each([200, 202])('R10 %d is answered', (status) => expect(outcomeOf(status)).toBe('answered'));
  it.each([302, 408, 480, 481, 486, 487, 488, 500, 503, 600, 603, 606, 607])('R10 %d is missed', (status) =>
    expect(outcomeOf(status)).toBe('missed'),
  );
  it.each([400, 401, 403, 404, 405, 407, 410, 416, 420, 421, 433, 482, 483, 484, 485, 604, 608])(
    'R11 %d is not recorded as missed',
    (status) => expect(outcomeOf(status)).toBe('refused'),
  );
});

describe('erasing', () => {
  it('F19 marks received and terminated erased and leaves the dialed number', () => {
    const before = mergeLastCalls(
      { ...(calleeRecord(call(), 'missed', AT) ?? erasedRecord(BOB, AT)) },
      { ...(dialedRecord(call({ from: BOB, to: ALICE, dialed: '1001' }), AT) ?? erasedRecord(BOB, AT)) },
    );
    const row = mergeLastCalls(before, erasedRecord(BOB, micros(AT + 1)));
    const choose = (group: 'received' | 'terminated' | 'dialed') =>
      chooseFreshest([group], [{ site: 'a', row }], []).kind;
    expect([choose('received'), choose('terminated'), choose('dialed')]).toEqual([
      'erased',
      'erased',
      'number',
    ]);
  });

  it('F3 an erased caller is told apart from a withheld one, in either order', () => {
    const hidden = calleeRecord(withheld, 'missed', AT);
    if (hidden === null) throw new Error('R7 records a withheld caller');
    const kind = (...rows: (typeof hidden)[]) =>
      chooseFreshest(['received'], [{ site: 'a', row: rows.reduce(mergeLastCalls) }], []).kind;
    expect(kind(hidden)).toBe('withheld');
    expect(kind(hidden, erasedRecord(BOB, micros(AT + 1)))).toBe('erased');
    expect(kind(erasedRecord(BOB, micros(AT - 1)), hidden)).toBe('withheld');
  });
});

describe('the date of a record', () => {
  it('R13 is the clock where nothing known is as new', () => {
    expect(recordDate(AT, null)).toBe(AT);
    expect(recordDate(AT, micros(AT - 1))).toBe(AT);
  });

  it('R13 is one microsecond after the freshest known where the clock is behind', () => {
    expect(recordDate(AT, AT)).toBe(AT + 1);
    expect(recordDate(AT, micros(AT + 5_000_000))).toBe(AT + 5_000_001);
  });

  it('R13 grows with every record, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 2 }), (clocks) => {
        let freshest = micros(0);
        for (const clock of clocks) {
          const date = recordDate(micros(clock), freshest);
          expect(date).toBeGreaterThan(freshest);
          expect(date).toBeGreaterThanOrEqual(clock);
          freshest = date;
        }
      }),
    );
  });

  it('R14 says how far a date is ahead of this clock beyond the allowed skew', () => {
    expect(skewBeyond(micros(AT + 5_000_000), AT, 5_000)).toBe(0);
    expect(skewBeyond(micros(AT + 5_000_001), AT, 5_000)).toBe(1);
    expect(skewBeyond(micros(AT - 1), AT, 0)).toBe(0);
  });
});
