import { expect, test } from 'vitest';
import { type EndedCall, finishedCall } from '../../../shared/domain/finished-call.ts';
import { micros } from '../../../shared/domain/micros.ts';

const party = (terminalId: number) => ({
  terminalId,
  userId: null,
  number: String(1000 + terminalId),
  numberId: null,
});
const ended: EndedCall = {
  facts: {
    callId: 'x',
    from: party(1),
    caller: { number: '1001', uri: 'sip:1001@example.net', withheld: null },
    to: party(2),
  },
  dialed: '1002',
  code: 'none',
  source: null,
  result: 'missed',
  status: 486,
  setupMs: 250.4,
};
const now = micros(1_000_000_000);

test('a call is dated by when its INVITE came', () => {
  expect(finishedCall(ended, now)).toMatchObject({
    at: 1_000_000_000 - 250_400,
    setupMs: 250,
    fromTerminalId: 1,
    fromNumber: '1001',
    toTerminalId: 2,
    toNumber: '1002',
    code: null,
    talkMs: null,
  });
});

test('the age of the row that a star code used is told in milliseconds, never below zero', () => {
  const from = (at: number) =>
    finishedCall({ ...ended, code: 'redial', source: { site: 'b', at: micros(at) } }, now);
  expect(from(999_000_000)).toMatchObject({ code: 'redial', sourceSite: 'b', sourceAgeMs: 1_000 });
  expect(from(2_000_000_000).sourceAgeMs).toBe(0);
});

test('R7 of a caller who withheld the number nothing stands there but that', () => {
  const facts = { ...ended.facts, caller: { number: null, uri: null, withheld: 'privacy' as const } };
  expect(finishedCall({ ...ended, facts }, now)).toMatchObject({
    withheld: true,
    fromNumber: null,
    fromTerminalId: null,
  });
});

test('F21 what is no number is not kept as one', () => {
  expect(finishedCall({ ...ended, dialed: 'bob;ext=1' }, now).toNumber).toBeNull();
});
