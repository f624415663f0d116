import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dialedUser, escapedUser } from '../../../services/call-control/user-part.ts';
import { parseUri } from '../../../shared/sip/syntax/uri.ts';

test.each([
  ['sip:1002@lastcall.test', '1002'],
  ['sip:%2A52@lastcall.test', '*52'],
  ['sip:+49301;phone-context=x@lastcall.test;user=phone', '+49301'],
  ['tel:+49-30-1', '+49301'],
  ['sip:lastcall.test', undefined],
  ['urn:service:sos', undefined],
])('%s is dialed as %s', (uri, expected) => {
  expect(dialedUser(parseUri(uri))).toBe(expected);
});

test.each([
  ['☎', '%E2%98%8E'],
  ['é', '%C3%A9'],
  ['\ud83d', '%EF%BF%BD'],
  ['*52', '*52'],
  ['a b', 'a%20b'],
])('%j is written into a URI as %s: UTF-8, RFC 3261 25.1', (text, expected) => {
  expect(escapedUser(text)).toBe(expected);
});

test('any digits and codes survive being written into a URI and read back', () => {
  const dialable = fc.string({
    unit: fc.constantFrom(...'0123456789*#+%@: abcXYZ[]"<>'),
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(dialable, (digits) => {
      expect(dialedUser(parseUri(`sip:${escapedUser(digits)}@lastcall.test`))).toBe(digits);
    }),
  );
});
