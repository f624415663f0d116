import { describe, expect, it } from 'vitest';
import { buildAck, buildCancel } from '../../../shared/sip/message/derived-requests.ts';
import { MessageDraft } from '../../../shared/sip/message/draft.ts';
import { DEFAULT_LIMITS } from '../../../shared/sip/message/limits.ts';
import { parseMessage } from '../../../shared/sip/message/parse.ts';
import { buildResponse } from '../../../shared/sip/message/response.ts';
import { stampVia } from '../../../shared/sip/message/stamp-via.ts';
import { StreamFramer } from '../../../shared/sip/transport/stream-framer.ts';
import { parsedRequest, parsedResponse, requestText, responseTo, text } from './messages.ts';

describe('reading (RFC 3261 7)', () => {
  it('finds headers under any spelling and compact form', () => {
    const request = parsedRequest({ extra: ['m: <sip:a@b>', 'SUPPORTED: path', 'k: gruu', 'x-own: 1'] });
    expect(request.header('Contact')).toBe('<sip:a@b>');
    expect(request.values('supported')).toEqual(['path', 'gruu']);
    expect(request.header('X-OWN')).toBe('1');
    expect(request.count('Supported')).toBe(2);
    expect(request.header('absent')).toBeUndefined();
  });

  it('joins values over lines and commas in order (7.3.1)', () => {
    const request = parsedRequest({ extra: ['Route: <sip:1;lr>, <sip:2;lr>', 'Route:', ' <sip:3;lr>'] });
    expect(request.values('route')).toEqual(['<sip:1;lr>', '<sip:2;lr>', '<sip:3;lr>']);
  });

  it('cuts the body at Content-Length and keeps all of it without one', () => {
    expect(parsedRequest(requestText().replace('Length: 0\r\n\r\n', 'Length: 2\r\n\r\nabcd')).body).toBe(
      'ab',
    );
    expect(parsedRequest(requestText().replace('Content-Length: 0\r\n\r\n', '\r\nabcd')).body).toBe('abcd');
  });

  it.each([
    '',
    '\r\n',
    'INVITE\r\n\r\n',
    'INVITE sip:a\r\n\r\n',
    'SIP/2.0\r\n\r\n',
    'SIP/2.0 99 x\r\n\r\n',
    'SIP/2.0 2000\r\n\r\n',
  ])('%j is no SIP message', (bytes) => {
    expect(parseMessage(bytes)).toBeUndefined();
  });
});

describe('editing a copy (RFC 3261 16.6)', () => {
  const source = requestText({
    extra: [
      'v: SIP/2.0/UDP second;branch=2,SIP/2.0/UDP third',
      'X-Odd:   a,;"b',
      'Route: <sip:1;lr>, <sip:2;lr>',
    ],
  });

  it('touches nothing but what is edited', () => {
    const draft = MessageDraft.from(parsedRequest(source));
    draft.setRequestUri('sip:new@host');
    draft.set('max-forwards', '69');
    draft.push('via', 'SIP/2.0/UDP own;branch=z9');
    draft.append('X-New', 'n');
    expect(draft.serialize()).toBe(
      source
        .replace('sip:bob@example.com SIP', 'sip:new@host SIP')
        .replace('Max-Forwards: 70', 'Max-Forwards: 69')
        .replace('Via: SIP', 'Via: SIP/2.0/UDP own;branch=z9\r\nVia: SIP')
        .replace('\r\n\r\n', '\r\nX-New: n\r\n\r\n'),
    );
  });

  it('pops single values of a list', () => {
    const draft = MessageDraft.from(parsedRequest(source));
    expect([draft.pop('route'), draft.values('route'), draft.pop('route'), draft.pop('route')]).toEqual([
      '<sip:1;lr>',
      ['<sip:2;lr>'],
      '<sip:2;lr>',
      undefined,
    ]);
    expect([draft.pop('via'), draft.pop('via')]).toEqual([
      'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKalice1',
      'SIP/2.0/UDP second;branch=2',
    ]);
    expect(draft.values('via')).toEqual(['SIP/2.0/UDP third']);
  });

  it('set replaces every line of the name, remove takes them all', () => {
    const draft = MessageDraft.from(parsedRequest(source));
    draft.set('Via', 'one');
    expect(draft.values('via')).toEqual(['one']);
    draft.remove('v');
    expect(draft.header('via')).toBeUndefined();
    expect(parsedRequest(source).count('via')).toBe(2);
  });

  it('writes Content-Length for a new body', () => {
    const draft = MessageDraft.from(parsedRequest(source));
    draft.setBody('\xff\x00', 'application/x');
    const edited = parsedRequest(draft.serialize());
    expect([edited.body, edited.contentLength, edited.header('content-type')]).toEqual([
      '\xff\x00',
      2,
      'application/x',
    ]);
  });

  it('a value cannot start a header of its own', () => {
    const draft = MessageDraft.from(parsedRequest(source));
    draft.append('X-Name', 'a\r\nProxy-Authorization: forged');
    expect(parsedRequest(draft.serialize()).header('proxy-authorization')).toBeUndefined();
  });
});

describe('requests and responses derived from others', () => {
  it('8.2.6: a response echoes every Via in order and the 100 its Timestamp', () => {
    const request = parsedRequest({ extra: ['Via: SIP/2.0/UDP second', 'Timestamp: 54'] });
    const trying = parsedResponse(buildResponse(request, { status: 100, toTag: 'x' }).text);
    expect(trying.values('via')).toEqual(request.values('via'));
    expect([trying.to?.tag, trying.header('timestamp'), trying.reason]).toEqual([undefined, '54', 'Trying']);
    const refused = parsedResponse(buildResponse(request, { status: 499, toTag: 'x', body: 'abc' }).text);
    expect([refused.to?.tag, refused.body, refused.reason]).toEqual(['x', 'abc', 'Unknown']);
  });

  it('a To with a tag keeps it', () => {
    const response = parsedResponse(
      buildResponse(parsedRequest({ toTag: 'mine' }), { status: 200, toTag: 'x' }).text,
    );
    expect(response.header('to')).toBe('<sip:bob@example.com>;tag=mine');
  });

  it('9.1 and 17.1.1.3: CANCEL keeps the To of the INVITE, ACK takes that of the response', () => {
    const invite = parsedRequest({ extra: ['Via: SIP/2.0/UDP second'] });
    const cancel = parsedRequest(buildCancel(invite));
    const ack = parsedRequest(buildAck(invite, parsedResponse(responseTo(requestText(), 486, 'theirs'))));
    expect([cancel.method, cancel.values('via').length, cancel.to?.tag]).toEqual(['CANCEL', 1, undefined]);
    expect([ack.method, ack.values('via').length, ack.to?.tag]).toEqual(['ACK', 1, 'theirs']);
  });
});

describe('stamping Via (RFC 3261 18.2.1, RFC 3581 4)', () => {
  const stamped = (branch: string, address: string): string => {
    const request = parsedRequest({ branch, extra: ['X-After: same'] });
    const { topVia } = request;
    if (topVia === undefined) throw new Error('no Via');
    const result = stampVia(request, topVia, address, 4242);
    expect([result.header('x-after'), result.body, result.callId]).toEqual(['same', '', request.callId]);
    expect(parsedRequest(result.text).header('via')).toBe(result.header('via'));
    return result.header('via') ?? '';
  };

  it.each([
    ['z1', '192.0.2.1', 'SIP/2.0/UDP 192.0.2.1:5060;branch=z1'],
    ['z1', '203.0.113.7', 'SIP/2.0/UDP 192.0.2.1:5060;branch=z1;received=203.0.113.7'],
    ['z1;rport', '192.0.2.1', 'SIP/2.0/UDP 192.0.2.1:5060;branch=z1;received=192.0.2.1;rport=4242'],
    ['z1;received=9.9.9.9', '192.0.2.1', 'SIP/2.0/UDP 192.0.2.1:5060;branch=z1'],
  ])('branch=%s from %s', (branch, address, expected) => {
    expect(stamped(branch, address)).toBe(expected);
  });
});

describe('framing a stream (RFC 3261 18.3)', () => {
  const frames = (framer: StreamFramer): string[] => {
    const kinds: string[] = [];
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
      kinds.push(frame.kind);
      if (frame.kind === 'broken') break;
    }
    return kinds;
  };

  it('yields the same messages wherever the bytes are cut', () => {
    const bytes = `\r\n${requestText()}${requestText().replace('Length: 0\r\n\r\n', 'Length: 4\r\n\r\n\r\n\r\n')}${requestText()}`;
    for (let cut = 1; cut < bytes.length; cut += 13) {
      const framer = new StreamFramer(DEFAULT_LIMITS);
      framer.push(bytes.slice(0, cut));
      const first = frames(framer);
      framer.push(bytes.slice(cut));
      expect([...first, ...frames(framer)], `cut at ${cut}`).toEqual(['message', 'message', 'message']);
      expect(framer.partial).toBe(false);
    }
  });

  it('knows a ping, a partial message, and when its framing is lost', () => {
    const framer = new StreamFramer(DEFAULT_LIMITS);
    framer.push('\r\n\r\n');
    expect(frames(framer)).toEqual(['ping']);
    framer.push('\r\n');
    expect([frames(framer), framer.partial]).toEqual([[], false]);
    framer.push('\r\n');
    expect(frames(framer)).toEqual(['ping']);
    framer.push('INVITE sip:a');
    expect([frames(framer), framer.partial]).toEqual([[], true]);
    framer.push(text(' SIP/2.0', 'Via: x').replace(' SIP', '@b SIP'));
    expect(frames(framer)).toEqual(['broken']);
  });
});
