import { describe, expect, it } from 'vitest';
import { LayerUnderTest } from './layer-under-test.ts';
import { parsedResponse, requestText } from './messages.ts';

const INVITE = requestText();
const BYE = requestText({ method: 'BYE', branch: 'z9hG4bKbye', toTag: 'b1', sequence: 2 });

function ackFor(response: string, branch = 'z9hG4bKalice1'): string {
  const toTag = parsedResponse(response).to?.tag ?? '';
  return requestText({ method: 'ACK', branch, toTag });
}

describe('INVITE server transaction (RFC 3261 17.2.1)', () => {
  it('hands the request over once and absorbs its retransmissions', () => {
    const side = new LayerUnderTest();
    for (let i = 0; i < 4; i++) expect(side.receive(INVITE)).toBe(true);
    expect(side.requests).toHaveLength(1);
    expect(side.flow.sent).toEqual([]);
  });

  it('answers a retransmission with the last provisional response', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    side.transaction.trying();
    side.transaction.trying();
    side.transaction.reply({ status: 180 });
    side.receive(INVITE);
    expect(side.flow.startLines).toEqual(['100', '180', '180']);
  });

  it('copies Via, From, Call-ID, CSeq and adds one To tag to everything but 100 (8.2.6)', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    side.transaction.trying();
    side.transaction.reply({ status: 180 });
    side.transaction.reply({ status: 486 });
    const [trying, ringing, busy] = side.flow.sent.map(parsedResponse);
    expect(trying?.to?.tag).toBeUndefined();
    expect(ringing?.to?.tag).toBe(side.transaction.localTag);
    expect(busy?.to?.tag).toBe(side.transaction.localTag);
    expect(busy?.topVia?.branch).toBe('z9hG4bKalice1');
    expect([busy?.from?.tag, busy?.callId, busy?.header('cseq')]).toEqual([
      'a1',
      'call-1@192.0.2.1',
      '1 INVITE',
    ]);
  });

  it('timer G resends a failure at T1, 2 T1, ... T2 until the ACK comes', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    side.transaction.reply({ status: 486 });
    for (const [elapsedMs, sent] of [
      [490, 1],
      [20, 2],
      [1_000, 3],
      [2_000, 4],
      [4_000, 5],
      [4_000, 6],
    ] as const) {
      side.wheel.advance(elapsedMs);
      expect(side.flow.sent).toHaveLength(sent);
    }
    side.receive(ackFor(side.flow.sent[0] ?? ''));
    side.wheel.advance(30_000);
    expect(side.flow.sent).toHaveLength(6);
    expect(side.acks).toEqual([]);
  });

  it('timer H gives up 64 T1 after a failure without ACK and says so', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    const heard: string[] = [];
    side.transaction.user = { onUndelivered: (reason) => heard.push(reason) };
    side.transaction.reply({ status: 486 });
    side.wheel.advance(31_990);
    expect(heard).toEqual([]);
    side.wheel.advance(20);
    expect(heard).toEqual(['no-ack']);
    expect(side.layer.alive).toEqual({ server: 0, client: 0, pending: 0 });
  });

  it('timer I absorbs further ACKs for T4 after the first, not at all over TCP', () => {
    for (const transport of ['udp', 'tcp'] as const) {
      const side = new LayerUnderTest(transport);
      side.receive(INVITE);
      side.transaction.reply({ status: 486 });
      side.receive(ackFor(side.flow.sent[0] ?? ''));
      expect(side.layer.alive.server).toBe(transport === 'udp' ? 1 : 0);
      side.wheel.advance(5_010);
      expect(side.layer.alive.server).toBe(0);
    }
  });

  it('timer G does not run over TCP, timer H does', () => {
    const side = new LayerUnderTest('tcp');
    side.receive(INVITE);
    side.transaction.reply({ status: 486 });
    side.wheel.advance(31_000);
    expect(side.flow.startLines).toEqual(['486']);
    side.wheel.advance(1_100);
    expect(side.layer.alive.server).toBe(0);
  });

  it('RFC 6026 7.1: accepted absorbs INVITEs, lets every further 2xx through and ends after timer L', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    side.transaction.reply({ status: 200 });
    side.receive(INVITE);
    expect(side.flow.startLines).toEqual(['200']);
    expect(side.transaction.send({ status: 200, text: side.flow.sent[0] ?? '' })).toBe(true);
    expect(side.transaction.send({ status: 486, text: 'never' })).toBe(false);
    expect(side.flow.startLines).toEqual(['200', '200']);
    side.wheel.advance(32_010);
    expect(side.layer.alive.server).toBe(0);
  });

  it('RFC 6026 7.1: an ACK with the INVITE branch of a 2xx goes to the core', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    side.transaction.reply({ status: 200 });
    side.receive(ackFor(side.flow.sent[0] ?? ''));
    side.receive(ackFor(side.flow.sent[0] ?? '', 'z9hG4bKanother'));
    expect(side.acks).toHaveLength(2);
  });

  it('sends nothing after a final response and counts as pending until then', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    expect(side.layer.alive.pending).toBe(1);
    expect(side.transaction.reply({ status: 486 })).toBe(true);
    expect(side.transaction.reply({ status: 200 })).toBe(false);
    expect(side.transaction.reply({ status: 180 })).toBe(false);
    expect(side.transaction.finished).toBe(true);
    expect(side.layer.alive.pending).toBe(0);
    expect(side.flow.startLines).toEqual(['486']);
  });

  it('answers 500 when the owner throws, and reports it', () => {
    const side = new LayerUnderTest();
    side.onRequest = () => {
      throw new Error('owner');
    };
    expect(side.receive(INVITE)).toBe(true);
    expect(side.flow.startLines).toEqual(['500']);
    expect(side.faults).toHaveLength(1);
  });
});

describe('non-INVITE server transaction (RFC 3261 17.2.2)', () => {
  it('absorbs retransmissions before the answer and repeats the answer after it, until timer J', () => {
    const side = new LayerUnderTest();
    side.receive(BYE);
    side.receive(BYE);
    expect(side.flow.sent).toEqual([]);
    side.transaction.reply({ status: 200 });
    side.receive(BYE);
    expect(side.requests).toHaveLength(1);
    expect(side.flow.startLines).toEqual(['200', '200']);
    side.wheel.advance(31_990);
    expect(side.layer.alive.server).toBe(1);
    side.wheel.advance(20);
    expect(side.layer.alive.server).toBe(0);
  });

  it('ends at once over TCP (timer J is zero)', () => {
    const side = new LayerUnderTest('tcp');
    side.receive(BYE);
    side.transaction.reply({ status: 200 });
    expect(side.layer.alive.server).toBe(0);
  });

  it('RFC 4320 4.1: trying sends nothing; 4.2: discard ends it without an answer', () => {
    const side = new LayerUnderTest();
    side.receive(BYE);
    side.transaction.trying();
    side.transaction.discard();
    expect(side.flow.sent).toEqual([]);
    expect(side.layer.alive).toEqual({ server: 0, client: 0, pending: 0 });
  });
});

describe('matching requests (RFC 3261 17.2.3)', () => {
  it('tells requests apart by branch, sent-by and method', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    side.receive(INVITE.replace('z9hG4bKalice1', 'z9hG4bKalice2'));
    side.receive(INVITE.replace('UDP 192.0.2.1:5060', 'UDP 192.0.2.1:5062'));
    side.receive(requestText({ method: 'OPTIONS' }));
    expect(side.requests).toHaveLength(4);
  });

  it('RFC 2543: without the magic cookie Request-URI, tags, Call-ID, CSeq and Via decide', () => {
    const side = new LayerUnderTest();
    const old = requestText({ branch: '1' });
    side.receive(old);
    side.receive(old);
    side.receive(requestText({ branch: '1', callId: 'call-2' }));
    expect(side.requests).toHaveLength(2);
    side.requests[0]?.transaction.reply({ status: 486 });
    side.receive(ackFor(side.flow.sent[0] ?? '', '1'));
    expect(side.acks).toEqual([]);
  });

  it('8.2.2.2: a merged REGISTER is answered 482 where the owner asked for it', () => {
    const side = new LayerUnderTest('udp', ['REGISTER']);
    side.receive(requestText({ method: 'REGISTER', branch: 'z9hG4bKpath1' }));
    side.receive(requestText({ method: 'REGISTER', branch: 'z9hG4bKpath2' }));
    expect(side.requests).toHaveLength(1);
    expect(side.flow.startLines).toEqual(['482']);
    side.transaction.reply({ status: 200 });
    side.wheel.advance(32_100);
    side.receive(requestText({ method: 'REGISTER', branch: 'z9hG4bKpath3' }));
    expect(side.requests).toHaveLength(2);
  });
});

describe('CANCEL (RFC 3261 9.2)', () => {
  const CANCEL = requestText({ method: 'CANCEL' });

  it('is answered 200 and told to the INVITE, which its owner then ends with 487', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    const { transaction } = side;
    transaction.user = { onCancel: () => transaction.reply({ status: 487 }) };
    side.receive(CANCEL);
    expect(side.flow.startLines).toEqual(['200', '487']);
    expect(transaction.cancelled).toBe(true);
    expect(side.requests).toHaveLength(1);
  });

  it('is answered 481 when it matches no INVITE', () => {
    const side = new LayerUnderTest();
    side.receive(CANCEL);
    expect(side.flow.startLines).toEqual(['481']);
  });

  it('has no effect after a final response', () => {
    const side = new LayerUnderTest();
    side.receive(INVITE);
    side.transaction.reply({ status: 486 });
    side.receive(CANCEL);
    expect(side.flow.startLines).toEqual(['486', '200']);
    expect(side.transaction.cancelled).toBe(false);
  });
});
