import { describe, expect, it } from 'vitest';
import { type CallerClaims, callerOf, isAnonymous } from '../../../shared/domain/caller.ts';

const ASSERTED = { number: '+4930123', uri: 'sip:+4930123@pbx.test' };
const AUTHENTICATED = { number: '1001', uri: 'sip:1001@lastcall.test' };
const claims = (fields: Partial<CallerClaims>): CallerClaims => ({
  asserted: null,
  authenticated: AUTHENTICATED,
  privacy: [],
  fromUri: AUTHENTICATED.uri,
  ...fields,
});

describe('the caller’s identity', () => {
  it('R5 is P-Asserted-Identity from a trusted peer', () => {
    expect(callerOf(claims({ asserted: ASSERTED }))).toEqual({ ...ASSERTED, withheld: null });
  });

  it('R5 is else the authenticated user, whatever From says', () => {
    expect(callerOf(claims({ fromUri: 'sip:999@elsewhere.test' }))).toEqual({
      ...AUTHENTICATED,
      withheld: null,
    });
  });

  it.each(['id', 'user', 'header'])('R7 is withheld by Privacy: %s, asserted or not', (value) => {
    const hidden = { number: null, uri: null, withheld: 'privacy' };
    expect(callerOf(claims({ privacy: [value] }))).toEqual(hidden);
    expect(callerOf(claims({ asserted: ASSERTED, privacy: ['critical', value] }))).toEqual(hidden);
  });

  it.each(['none', 'session', 'critical', 'history'])('R7 is not withheld by Privacy: %s', (value) => {
    expect(callerOf(claims({ privacy: [value] })).withheld).toBeNull();
  });

  it('R7 is withheld by an anonymous From', () => {
    const caller = callerOf(claims({ asserted: ASSERTED, fromUri: 'sip:anonymous@anonymous.invalid' }));
    expect(caller).toEqual({ number: null, uri: null, withheld: 'anonymous' });
  });

  it.each([
    ['no identity at all', null],
    ['an identity without a user part', { number: '', uri: 'sip:pbx.test' }],
    ['an anonymous identity', { number: 'anonymous', uri: 'sip:anonymous@pbx.test' }],
  ])('R7 is unknown with %s', (_, asserted) => {
    const caller = callerOf(claims({ authenticated: null, asserted, fromUri: 'sip:x@y.test' }));
    expect(caller).toEqual({ number: null, uri: null, withheld: 'unknown' });
  });

  it('R7 an asserted identity that says nothing is not replaced by another one', () => {
    expect(callerOf(claims({ asserted: { number: '', uri: 'sip:pbx.test' } })).withheld).toBe('unknown');
  });
});

describe('an anonymous URI', () => {
  it.each([
    'sip:anonymous@anonymous.invalid',
    'sips:Anonymous@Anonymous.Invalid',
    'sip:anonymous@anonymous.invalid:5060;transport=tcp',
    'sip:thisis@anonymous.invalid',
    'sip:anonymous.invalid',
    'sip:anonymous@gateway.test',
    'sip:anonymous:pw@gateway.test?x=y',
  ])('R7 %s', (uri) => {
    expect(isAnonymous(uri)).toBe(true);
  });

  it.each([
    'sip:anonymousse@lastcall.test',
    'sip:mr.anonymous@lastcall.test',
    'sip:1001@anonymous.invalid.lastcall.test',
    'sip:1001@lastcall.test;x=@anonymous.invalid',
    'sip:1001@lastcall.test?x=anonymous@anonymous.invalid',
    'sip:1001@anonymous.example',
    'tel:+4930123',
    'anonymous',
    '',
  ])('R7 is not %j', (uri) => {
    expect(isAnonymous(uri)).toBe(false);
  });
});
