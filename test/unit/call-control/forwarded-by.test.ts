import { expect, test } from 'vitest';
import { forwardedBy } from '../../../services/call-control/forwarded-by.ts';
import { parsedRequest } from '../sip/messages.ts';

const of = (...extra: string[]) => {
  const found = forwardedBy(parsedRequest({ extra }));
  return [found.forwardedBy, found.originalCalled];
};

test('R6 nothing says so: not forwarded', () => {
  expect(of()).toEqual([null, null]);
  expect(of('History-Info: <sip:1002@x>;index=1')).toEqual([null, null]);
});

test.each([
  [['Diversion: <sip:1003@x>;reason=no-answer'], ['1003', '1003']],
  [['Diversion: <sip:1003@x>;reason=user-busy, <sip:1004@x>'], ['1003', '1004']],
  [
    ['Diversion: <tel:+49-30-1>', 'Diversion: "B, C" <sip:1004@x>'],
    ['+49301', '1004'],
  ],
] as const)(
  'R6 Diversion (RFC 5806): the latest stands on top, the first called at the bottom: %j',
  (headers, expected) => {
    expect(of(...headers)).toEqual(expected);
  },
);

test.each([
  ['<sip:1003@x>;index=1, <sip:1002@x>;index=1.1', ['1003', '1003']],
  [
    '<sip:1002@x>;index=1.1.1, <sip:1004@x>;index=1, <sip:1003@x?Reason=SIP%3Bcause%3D302>;index=1.1',
    ['1003', '1004'],
  ],
  [
    '<sip:1004@x>;index=1, <sip:1003@x>;index=1.1, <sip:1003@192.0.2.1>;index=1.1.1, <sip:1002@x>;index=1.2',
    ['1003', '1004'],
  ],
] as const)(
  'R6 History-Info (RFC 7044): by index, the one before the present target forwarded it: %s',
  (value, expected) => {
    expect(of(`History-Info: ${value}`)).toEqual(expected);
  },
);

test('malformed values are passed over', () => {
  expect(of('Diversion: ;;;, <sip:1003@x>')).toEqual(['1003', '1003']);
  expect(of('History-Info: <sip:1003@x>;index=a.b, <sip:1002@x>')).toEqual([null, null]);
});
