import { describe, expect, it } from 'vitest';
import { parseCSeq } from '../../../shared/sip/syntax/cseq.ts';
import { formatDigestFields, parseDigestFields } from '../../../shared/sip/syntax/digest-fields.ts';
import {
  flattened,
  parseCount,
  quoted,
  splitOutsideQuotes,
  trimmed,
  unescaped,
  unfolded,
  unquoted,
} from '../../../shared/sip/syntax/lexical.ts';
import { parseContact, parseNameAddr } from '../../../shared/sip/syntax/name-addr.ts';
import { parseHostPort, parseUri, userOf } from '../../../shared/sip/syntax/uri.ts';
import { parseVia } from '../../../shared/sip/syntax/via.ts';

describe('SIP URI (RFC 3261 19.1)', () => {
  it('keeps every part', () => {
    const uri = parseUri(
      'sips:al%20ice;day=tue:secret@Example.COM:5061;Transport=tcp;lr?subject=x&priority=y',
    );
    expect(uri).toMatchObject({
      kind: 'sip',
      scheme: 'sips',
      user: 'al%20ice;day=tue',
      password: 'secret',
      host: 'example.com',
      port: 5061,
      headers: 'subject=x&priority=y',
    });
    expect(uri?.kind === 'sip' && [...uri.parameters]).toEqual([
      ['transport', 'tcp'],
      ['lr', ''],
    ]);
  });

  it.each([
    ['sip:%2A52@lastcall.test', '*52'],
    ['sip:*69@lastcall.test', '*69'],
    ['tel:+1-201-555-0123;phone-context=x', '+12015550123'],
    ['sip:j%40s0n@example.com', 'j@s0n'],
    ['sip:example.com', undefined],
    ['sip:%00@example.com', undefined],
    ['urn:service:sos', undefined],
  ])('the user of %s is %s', (text, user) => {
    expect(userOf(parseUri(text))).toBe(user);
  });

  it.each([
    'sip:',
    'sip:@example.com',
    'sip:a b@example.com',
    'sip:bob@exa<mple.com',
    'sip:bob@example.com:0',
    'sip:bob@example.com:65536',
    'sip:bob@example.com:5x',
    'sip:bob@example.com;lr;lr',
    'sip:bob@example.com;=x',
    'sip:%zz@example.com',
    'sip:bob@[::1',
    'tel:',
    'tel:+',
    'tel:12x4',
    'no-colon',
    ':empty',
    '1abc:x',
  ])('%s is none', (text) => {
    expect(parseUri(text)).toBeUndefined();
  });

  it.each([
    ['192.0.2.1:5060', { host: '192.0.2.1', port: 5060 }],
    ['[2001:DB8::1]:5060', { host: '[2001:db8::1]', port: 5060 }],
    ['[::1]', { host: '[::1]', port: undefined }],
    ['Host.Example', { host: 'host.example', port: undefined }],
    ['host:', undefined],
    ['[::1]5060', undefined],
    ['', undefined],
  ])('host and port of %s', (text, expected) => {
    expect(parseHostPort(text)).toEqual(expected);
  });
});

describe('name-addr (RFC 3261 20.10)', () => {
  it.each([
    ['"A. G. \\"Bell\\"" <sip:a@b.com>;tag=x', 'A. G. "Bell"', 'sip:a@b.com', 'x'],
    ['sip:a@b.com;tag=x', undefined, 'sip:a@b.com', 'x'],
    ['<sip:a@b.com;tag=uri>', undefined, 'sip:a@b.com;tag=uri', undefined],
    ['Bob<sip:a@b.com> ; tag = "q;q"', 'Bob', 'sip:a@b.com', 'q;q'],
    ['"<sip:not@this>" <sip:a@b.com>', '<sip:not@this>', 'sip:a@b.com', undefined],
  ])('%s', (text, displayName, uriText, tag) => {
    expect(parseNameAddr(text)).toMatchObject({ uriText });
    expect([parseNameAddr(text)?.displayName, parseNameAddr(text)?.tag]).toEqual([displayName, tag]);
  });

  it.each([
    '"open <sip:a@b.com>',
    '<sip:a@b.com',
    '"a" b <sip:a@b.com>',
    'sip:a@b.com?x=y',
    '<sip:a@b.com>;tag=1;tag=2',
    '<sip:a@b.com> junk',
    '<>',
    '',
  ])('%s is none', (text) => {
    expect(parseNameAddr(text)).toBeUndefined();
  });

  it('Contact: * is told from an address', () => {
    expect(parseContact('*')).toBe('*');
    expect(parseContact('<sip:a@b.com>;q=0.5')).toMatchObject({ uriText: 'sip:a@b.com' });
  });

  it('a quoted instance parameter is unquoted (RFC 5626 4.1)', () => {
    const contact = parseNameAddr('<sip:a@b.com>;+sip.instance="<urn:uuid:0000>";reg-id=1');
    expect(contact?.parameters.get('+sip.instance')).toBe('<urn:uuid:0000>');
  });
});

describe('Via (RFC 3261 20.42)', () => {
  it('keeps every part', () => {
    const via = parseVia(
      'SIP / 2.0 / udp First.example.com : 4000;ttl=16;maddr=224.2.0.1 ;branch=z9hG4bKa7;rport=99',
    );
    expect(via).toMatchObject({
      transport: 'UDP',
      host: 'first.example.com',
      port: 4000,
      maddr: '224.2.0.1',
      branch: 'z9hG4bKa7',
      rport: 99,
    });
  });

  it('tells a bare rport from none (RFC 3581 3)', () => {
    expect(parseVia('SIP/2.0/UDP h;rport')?.rport).toBe('asked');
    expect(parseVia('SIP/2.0/UDP h')?.rport).toBeUndefined();
  });

  it.each([
    'SIP/1.0/UDP h',
    'SIP/2.0 h',
    'HTTP/2.0/UDP h',
    'SIP/2.0/UDP',
    'SIP/2.0/UDP a b',
    'SIP/2.0/UDP h:x',
    '',
  ])('"%s" is none', (text) => {
    expect(parseVia(text)).toBeUndefined();
  });
});

describe('CSeq (RFC 3261 20.16)', () => {
  it.each([
    ['4711 INVITE', { sequence: 4711, method: 'INVITE' }],
    ['0009   INVITE', { sequence: 9, method: 'INVITE' }],
    ['2147483647 X', { sequence: 2_147_483_647, method: 'X' }],
    ['2147483648 X', undefined],
    ['-1 X', undefined],
    ['1X', undefined],
    ['1 ', undefined],
    ['INVITE', undefined],
    ['1 IN VITE', undefined],
  ])('%s', (text, expected) => {
    expect(parseCSeq(text)).toEqual(expected);
  });
});

describe('lexical rules', () => {
  it('splits lists outside quotes and angle brackets only', () => {
    expect(splitOutsideQuotes('"a,\\",b" <sip:x,y@z>;q="1,2" , b,, c', ',')).toEqual([
      '"a,\\",b" <sip:x,y@z>;q="1,2"',
      'b',
      '',
      'c',
    ]);
  });

  it('takes SIP white space off, but no byte of UTF-8', () => {
    expect(trimmed(' \t\r\n\xc3\xa0 ')).toBe('\xc3\xa0');
  });

  it('unfolds continuation lines (7.3.1)', () => {
    expect(unfolded('a  \r\n\t b\r\n c')).toBe('a b c');
  });

  it('quotes and unquotes', () => {
    expect(unquoted(quoted('a"b\\c'))).toBe('a"b\\c');
    expect(unquoted('"')).toBe('"');
  });

  it.each([
    ['%41%2a', 'A*'],
    ['100%', undefined],
    ['%4', undefined],
    ['%g1', undefined],
    ['plain', 'plain'],
  ])('%s unescapes to %s', (text, expected) => {
    expect(unescaped(text)).toBe(expected);
  });

  it('counts are digits within a bound', () => {
    expect([parseCount('0068', 255), parseCount('256', 255), parseCount('+1', 9), parseCount('', 9)]).toEqual(
      [68, undefined, undefined, undefined],
    );
  });

  it('a flattened text equals its origin byte for byte', () => {
    expect(flattened('\x00\xff\xc3')).toBe('\x00\xff\xc3');
  });
});

describe('digest fields (RFC 3261 20.7)', () => {
  it('reads quoted commas and writes what it read', () => {
    const fields = parseDigestFields('Digest username="a,b",realm="r\\"r", NC=00000001 , qop=auth');
    expect(fields && [...fields]).toEqual([
      ['username', 'a,b'],
      ['realm', 'r"r'],
      ['nc', '00000001'],
      ['qop', 'auth'],
    ]);
    expect(formatDigestFields(fields ?? [], ['qop'])).toBe(
      'Digest username="a,b", realm="r\\"r", nc=00000001, qop=auth',
    );
  });

  it.each(['Basic dXNlcjpw', 'Digest username', 'Digest a=1, a=2', 'Digest =1'])('%s is none', (text) => {
    expect(parseDigestFields(text)).toBeUndefined();
  });
});
