import { describe, expect, it } from 'vitest';
import type { Answer } from '../../../shared/sip/transaction/user.ts';
import { LayerUnderTest } from './layer-under-test.ts';
import { parsedResponse, requestText } from './messages.ts';

const INVITE = requestText();
const EMPTY = { server: 0, client: 0, pending: 0 };
const challenge = (bytes: number): Answer => ({
  status: 407,
  headers: [
    ['Proxy-Authenticate', `Digest nonce="${'a'.repeat(bytes)}"`],
    ['Proxy-Authenticate', 'Digest nonce="b"'],
  ],
});

describe('G4 a refused request', () => {
  it('is answered once, and nothing of it is kept', () => {
    const side = new LayerUnderTest();
    side.onRequest = (_request, transaction) => transaction.refuse({ status: 407 });
    side.receive(INVITE);
    expect(side.layer.alive).toEqual(EMPTY);
    side.wheel.advance(64_000);
    expect(side.flow.startLines).toEqual(['407']);
    expect(side.wheel.armed).toBe(0);
  });

  it('comes as a new one when it is repeated, and gets the same To tag (RFC 3261 8.2.7)', () => {
    const side = new LayerUnderTest();
    side.onRequest = (_request, transaction) => transaction.refuse({ status: 407 });
    side.receive(INVITE);
    side.receive(INVITE);
    side.receive(requestText({ callId: 'another' }));
    const tags = side.flow.sent.map((each) => parsedResponse(each).to?.tag);
    expect(tags).toHaveLength(3);
    expect(tags[0]).toBe(tags[1]);
    expect(tags[0]).not.toBe(tags[2]);
  });

  it("has an ACK that belongs to no transaction, and is the owner's to judge", () => {
    const side = new LayerUnderTest();
    side.onRequest = (_request, transaction) => transaction.refuse({ status: 407 });
    side.receive(INVITE);
    side.receive(requestText({ method: 'ACK', toTag: 'x' }));
    expect(side.acks).toHaveLength(1);
    expect(side.layer.alive).toEqual(EMPTY);
  });

  it('cannot be answered afterwards, whatever its owner does', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    expect(side.transaction.refuse({ status: 403 })).toBe(true);
    expect(side.transaction.refuse({ status: 403 })).toBe(false);
    expect(side.transaction.reply({ status: 200 })).toBe(false);
    expect(side.transaction.send({ status: 200, text: 'SIP/2.0 200 OK\r\n\r\n' })).toBe(false);
    expect(side.flow.startLines).toEqual(['403']);
    expect(side.wheel.armed).toBe(0);
  });

  it('is answered with what fits into twice its bytes over UDP: the first challenges give way, counted', () => {
    const side = new LayerUnderTest();
    side.onRequest = (_request, transaction) => transaction.refuse(challenge(INVITE.length * 2));
    side.receive(INVITE);
    const answer = side.flow.sent[0] ?? '';
    expect(answer.length).toBeLessThanOrEqual(INVITE.length * 2);
    expect(parsedResponse(answer).headerLines('proxy-authenticate')).toEqual(['Digest nonce="b"']);
    expect(side.counters.answersShortened).toBe(1);
  });

  it('is not answered at all when nothing fits, counted', () => {
    const side = new LayerUnderTest();
    side.onRequest = (_request, transaction) =>
      transaction.refuse({ status: 403, reason: 'x'.repeat(INVITE.length * 2) });
    side.receive(INVITE);
    expect([side.flow.sent, side.layer.alive, side.counters.answersWithheld]).toEqual([[], EMPTY, 1]);
  });

  it('over TCP, whose source is proven, is answered at any length, but on no new connection', () => {
    const side = new LayerUnderTest('tcp');
    side.onRequest = (_request, transaction) => transaction.refuse(challenge(10_000));
    side.receive(INVITE);
    expect(side.flow.startLines).toEqual(['407']);
    side.flow.open = false;
    side.receive(INVITE);
    expect(side.flow.sent).toHaveLength(1);
  });
});

describe('G4 what the layer itself answers leaves nothing behind', () => {
  it.each([
    ['a CANCEL of nothing', requestText({ method: 'CANCEL' }), '481'],
    ['a broken request', INVITE.replace('CSeq: 1 INVITE', 'CSeq: 1 BYE'), '400'],
  ])('%s', (_name, message, status) => {
    const side = new LayerUnderTest();
    side.receive(message);
    expect([side.flow.startLines, side.layer.alive]).toEqual([[status], EMPTY]);
  });

  it('a merged REGISTER', () => {
    const side = new LayerUnderTest('udp', ['REGISTER']);
    side.receive(requestText({ method: 'REGISTER' }));
    side.receive(requestText({ method: 'REGISTER', branch: 'z9hG4bKother' }));
    expect(side.flow.startLines).toEqual(['482']);
    expect(side.layer.alive.server).toBe(1);
  });
});

describe('G6 what a handler throws', () => {
  it.each([
    [
      'at once',
      () => {
        throw new Error('boom');
      },
    ],
    [
      'later',
      async () => {
        await Promise.resolve();
        throw new Error('boom');
      },
    ],
  ])('%s is reported and answered 500, and nothing is kept', async (_when, handler) => {
    const side = new LayerUnderTest();
    side.onRequest = handler;
    side.receive(INVITE);
    await new Promise((resolve) => setImmediate(resolve));
    expect(side.faults).toEqual([new Error('boom')]);
    expect([side.flow.startLines, side.layer.alive]).toEqual([['500'], EMPTY]);
  });

  it('after a provisional response is answered 500 with retransmissions', async () => {
    const side = new LayerUnderTest();
    side.onRequest = (_request, transaction) => {
      transaction.trying();
      throw new Error('boom');
    };
    side.receive(INVITE);
    side.wheel.advance(600);
    expect(side.flow.startLines).toEqual(['100', '500', '500']);
  });

  it('in a timer stops no other timer', () => {
    const side = new LayerUnderTest();
    const fired: string[] = [];
    const reported: unknown[] = [];
    side.wheel.onFault = (error) => reported.push(error);
    side.wheel.schedule(
      10,
      {
        onTimer: () => {
          throw new Error('boom');
        },
      },
      'A',
    );
    side.wheel.schedule(10, { onTimer: (kind) => fired.push(kind) }, 'B');
    side.wheel.advance(20);
    expect([fired, reported]).toEqual([['B'], [new Error('boom')]]);
  });
});

describe('what calls hold', () => {
  it('is counted by source and in whole: INVITEs without a final response', () => {
    const side = new LayerUnderTest();
    const { pendingInvites } = side.layer;
    side.receive(INVITE);
    const first = side.transaction;
    side.receive(requestText({ branch: 'z9hG4bK2' }));
    side.receive(requestText({ branch: 'z9hG4bK3', method: 'OPTIONS' }));
    expect([pendingInvites.total, pendingInvites.from('192.0.2.1'), pendingInvites.from('::1')]).toEqual([
      2, 2, 0,
    ]);
    first.reply({ status: 486 });
    expect(pendingInvites.from('192.0.2.1')).toBe(1);
  });

  it('counts nobody who was refused', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    side.transaction.refuse({ status: 407 });
    expect(side.layer.pendingInvites.total).toBe(0);
  });
});

describe('RFC 3261 17.2.3 a branch of the bare magic cookie', () => {
  it('does not mix the requests of two phones: they are told apart as RFC 2543 has it', () => {
    const side = new LayerUnderTest();
    const bare = (callId: string): string => requestText({ branch: 'z9hG4bK', callId });
    side.receive(bare('one'));
    side.receive(bare('two'));
    side.receive(bare('one'));
    expect(side.requests.map(({ request }) => request.callId)).toEqual(['one', 'two']);
    side.requests[0]?.transaction.reply({ status: 486 });
    side.receive(requestText({ branch: 'z9hG4bK', callId: 'one', method: 'ACK', toTag: 'x' }));
    side.wheel.advance(600);
    expect(side.flow.startLines).toEqual(['486']);
  });
});
