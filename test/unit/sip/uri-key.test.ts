import { describe, expect, it } from 'vitest';
import { parseUri, withoutHeaders } from '../../../shared/sip/syntax/uri.ts';
import { uriKey } from '../../../shared/sip/syntax/uri-key.ts';

function keyOf(text: string): string {
  const uri = parseUri(text);
  if (uri === undefined) throw new Error(`no URI: ${text}`);
  return uriKey(uri);
}

describe('a URI kept by its key (RFC 3261 19.1.4)', () => {
  it.each([
    ['case of host and scheme', 'sip:alice@Atlanta.COM', 'SIP:alice@atlanta.com'],
    ['escaped unreserved characters', 'sip:%61li%2ae@h', 'sip:ali*e@h'],
    ['the case of other escapes', 'sip:a%3bb@h', 'sip:a%3Bb@h'],
    ['the default port', 'sip:a@192.0.2.1', 'sip:a@192.0.2.1:5060'],
    ['the default port of TLS', 'sip:a@h;transport=tls', 'sip:a@h:5061;transport=TLS'],
    ['the order of parameters', 'sip:a@h;transport=tcp;line=x', 'sip:a@h;line=x;Transport=tcp'],
    ['the order of headers', 'sip:a@h?b=1&c=2', 'sip:a@h?c=2&B=1'],
    ['the dot of the root', 'sip:a@h.', 'sip:a@h'],
    ['the separators of a number', 'tel:+1-201-555', 'tel:+1201555'],
  ])('%s makes no difference', (_what, a, b) => {
    expect(keyOf(a)).toBe(keyOf(b));
  });

  it.each([
    ['sip:Alice@h', 'sip:alice@h'],
    ['sip:a@h', 'sips:a@h'],
    ['sip:a@h', 'sip:h'],
    ['sip:a@h', 'sip:a@h:5070'],
    ['sip:a@h', 'sip:a@h;transport=tcp'],
    ['sip:a@h;line=x', 'sip:a@h;line=y'],
    ['sip:a%3Bb@h', 'sip:a;b@h'],
    ['sip:a:x@h', 'sip:a:y@h'],
    ['sip:1@h', 'tel:1'],
  ])('%s is another than %s', (a, b) => {
    expect(keyOf(a)).not.toBe(keyOf(b));
  });
});

describe('a URI for a Request-URI', () => {
  it.each([
    ['sip:a@h?Route=%3Csip:evil%3E', 'sip:a@h'],
    ['sip:a?b@h;x=1?subject=y', 'sip:a?b@h;x=1'],
    ['sip:a@h?', 'sip:a@h'],
    ['sip:a?b@h', 'sip:a?b@h'],
    ['tel:+1', 'tel:+1'],
  ])('%s becomes %s', (text, expected) => {
    expect(withoutHeaders(text)).toBe(expected);
  });
});
