import { describe, expect, it } from 'vitest';
import { DEFAULT_FEATURE_CODES, featureOf } from '../../../shared/domain/feature-code.ts';
import {
  dialableNumber,
  isEmergency,
  matchesNumber,
  normaliseNumber,
  toDialable,
} from '../../../shared/domain/number.ts';

describe('a number for comparison', () => {
  it.each([
    ['1001', '1001'],
    ['+49 (30) 12-34.5', '+493012345'],
    ['(030) 123', '030123'],
    ['%2A69', '*69'],
    ['%2a69', '*69'],
    ['*69', '*69'],
    ['#31#1001', '#31#1001'],
    ['%2B4930123', '+4930123'],
    ['+4930123;phone-context=lastcall.test', '+4930123'],
  ])('of %s is %s', (text, expected) => {
    expect(normaliseNumber(text)).toBe(expected);
  });

  it.each([
    ['alice', 'alice'],
    ['j.doe-smith', 'j.doe-smith'],
    ['1001.alice', '1001.alice'],
    ['4711-fax', '4711-fax'],
    ['alice;day=tuesday', 'alice;day=tuesday'],
    ['al%69ce', 'alice'],
    ['100%', '100%'],
    ['%zz', '%zz'],
    ['', ''],
    ['+', '+'],
    ['1+2', '1+2'],
  ])('of the username %s is %s: a username keeps its dots, dashes and parameters', (text, expected) => {
    expect(normaliseNumber(text)).toBe(expected);
  });

  it('costs nothing on hostile input', () => {
    const started = performance.now();
    for (const unit of ['-', '1', '+', '1-', '%', '(', ';'])
      normaliseNumber(`${unit.repeat(60_000 / unit.length)}x`);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe('F21 a number that may be dialed', () => {
  it.each([
    ['1001', '1001'],
    ['+49 (30) 12-34.5', '+493012345'],
    ['%2A69', '*69'],
    ['#31#+4930', '#31#+4930'],
    ['12ABCD', '12ABCD'],
    ['1'.repeat(32), '1'.repeat(32)],
    ['1'.repeat(33), null],
    ['', null],
    ['alice', null],
    ['12E', null],
    ['0900&PJSIP/1', null],
    ['1\r\nX', null],
    ['1\n', null],
    ['1%0d%0aX', null],
    ['1\0', null],
    ['$' + '{SHELL(id)}', null],
    ['1;phone-context=x', null],
    ['1@host', null],
    ['☎', null],
    ['%E2%98%8E', null],
    ['%zz', null],
    ['١٢٣', null],
  ])('of %j is %j', (text, expected) => {
    expect(dialableNumber(text)).toBe(expected);
  });
});

describe('numbers', () => {
  it('R4 return converts the caller’s number to the subscriber’s dialable form by the first rule that matches', () => {
    const rules = [
      { prefix: '+4930', replacement: '0' },
      { prefix: '+49', replacement: '0049' },
      { prefix: '+', replacement: '00' },
    ];
    expect(toDialable('+49301234', rules)).toBe('01234');
    expect(toDialable('+49891234', rules)).toBe('0049891234');
    expect(toDialable('+33123', rules)).toBe('0033123');
    expect(toDialable('1001', rules)).toBe('1001');
    expect(toDialable('1001', [])).toBe('1001');
  });

  it('F7 match a list exactly or by prefix', () => {
    expect(matchesNumber('0900', ['0900*'])).toBe(true);
    expect(matchesNumber('09001234', ['0900*'])).toBe(true);
    expect(matchesNumber('0900-12 34', ['0900*'])).toBe(true);
    expect(matchesNumber('0901', ['0900*', '0901*'])).toBe(true);
    expect(matchesNumber('10900', ['0900*'])).toBe(false);
    expect(matchesNumber('1001', ['*'])).toBe(false);
    expect(matchesNumber('1001', [])).toBe(false);
  });

  it.each([
    ['sip:112@lastcall.test', '112', true],
    ['sip:1-1-2@lastcall.test', '1-1-2', true],
    ['sip:112;phone-context=+49@lastcall.test', '112;phone-context=+49', true],
    ['urn:service:sos', '', true],
    ['URN:Service:SOS.Police', '', true],
    ['urn:service:sosx', '', false],
    ['urn:service:counseling', '', false],
    ['sip:1120@lastcall.test', '1120', false],
  ])('R2 %s with number %j: emergency %s', (uri, number, expected) => {
    expect(isEmergency(uri, number, ['112', '110'])).toBe(expected);
  });
});

describe('feature codes', () => {
  it.each(['*69', '%2A69', '%2a69', '%2A%36%39', '*69;phone-context=lastcall.test'])(
    'F17 %s is call return',
    (userPart) => {
      expect(featureOf(userPart, DEFAULT_FEATURE_CODES)).toBe('return');
    },
  );

  it('F17 a configured alias is the same code, and codes are the site’s own', () => {
    const codes = new Map([
      ['*66', 'redial' as const],
      ['redial', 'redial' as const],
    ]);
    expect(featureOf('redial', codes)).toBe('redial');
    expect(featureOf('*66', codes)).toBe('redial');
    expect(featureOf('*52', codes)).toBeNull();
  });

  it.each(['*', '52', '**52', '*520', '%2', '%2A6%', '', '*52x', '1001'])('%j is no code', (userPart) => {
    expect(featureOf(userPart, DEFAULT_FEATURE_CODES)).toBeNull();
  });

  it('F19 erasing is off unless it is set', () => {
    expect([...DEFAULT_FEATURE_CODES.values()]).not.toContain('erase');
  });
});
