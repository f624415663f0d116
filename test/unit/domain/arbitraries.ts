import fc from 'fast-check';
import { FORGET_SCOPES, type ForgetMark } from '../../../shared/domain/forget.ts';
import { type CallGroup, callGroup, type LastCalls } from '../../../shared/domain/last-calls.ts';
import { type Micros, micros } from '../../../shared/domain/micros.ts';

/** Few dates, so that equal ones are frequent. */
export const aDate: fc.Arbitrary<Micros> = fc.integer({ min: 1, max: 12 }).map(micros);

const aText = fc.option(fc.constantFrom('', '1001', '1002', '+4930123'), { nil: null });
const anId = fc.option(fc.integer({ min: 1, max: 3 }), { nil: null });

export const aGroup: fc.Arbitrary<CallGroup | null> = fc.option(
  fc
    .record({
      at: aDate,
      number: aText,
      numberId: anId,
      callId: aText,
      userNumber: aText,
      sipUri: aText,
      privacy: aText,
    })
    .map(({ at, ...fields }) => callGroup(at, fields)),
  { nil: null },
);

export const aRow: fc.Arbitrary<LastCalls> = fc.record({
  terminalId: fc.constant(7),
  userId: anId,
  dialed: aGroup,
  received: aGroup,
  terminated: aGroup,
  unknownPaiAt: fc.option(aDate, { nil: null }),
  callTraceAt: fc.option(aDate, { nil: null }),
  reports: fc.option(fc.constantFrom('abcdefgh', 'ijklmnop', 'abcdefgh qrstuvwx'), { nil: null }),
});

export const aMark: fc.Arbitrary<ForgetMark> = fc.record({
  scope: fc.constantFrom(...FORGET_SCOPES),
  forgottenAt: aDate,
});
