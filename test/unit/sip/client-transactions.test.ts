import { describe, expect, it } from 'vitest';
import { LayerUnderTest } from './layer-under-test.ts';
import { parsedRequest, requestText, responseTo } from './messages.ts';

const INVITE = requestText({ branch: 'z9hG4bKout', extra: ['Route: <sip:p1.example.com;lr>'] });
const BYE = requestText({ method: 'BYE', branch: 'z9hG4bKout', toTag: 'b1' });

describe('INVITE client transaction (RFC 3261 17.1.1)', () => {
  it('timer A resends after T1, then twice as long each time; timer B ends it after 64 T1', () => {
    const side = new LayerUnderTest();
    side.send(INVITE);
    const sentAfter = [500, 1_000, 2_000, 4_000, 8_000, 16_000].map((elapsedMs) => {
      side.wheel.advance(elapsedMs + 10);
      return side.flow.sent.length;
    });
    expect(sentAfter).toEqual([2, 3, 4, 5, 6, 7]);
    side.wheel.advance(600);
    expect(side.heard).toEqual(['timeout']);
    expect(side.layer.alive.client).toBe(0);
    expect(side.counters.timeouts).toBe(1);
  });

  it('over TCP nothing is resent, timer B still runs', () => {
    const side = new LayerUnderTest('tcp');
    side.send(INVITE);
    side.wheel.advance(32_010);
    expect(side.flow.sent).toHaveLength(1);
    expect(side.heard).toEqual(['timeout']);
  });

  it('a provisional response stops retransmission and timer B', () => {
    const side = new LayerUnderTest();
    side.send(INVITE);
    side.receive(responseTo(INVITE, 180));
    side.wheel.advance(170_000);
    expect(side.flow.sent).toHaveLength(1);
    expect(side.heard).toEqual(['180']);
  });

  it('17.1.1.3: a failure is acknowledged within the transaction, again for each retransmission, for 32 s', () => {
    const side = new LayerUnderTest();
    side.send(INVITE);
    for (let i = 0; i < 3; i++) side.receive(responseTo(INVITE, 486));
    expect(side.heard).toEqual(['486']);
    expect(side.flow.startLines).toEqual(['INVITE', 'ACK', 'ACK', 'ACK']);
    const ack = parsedRequest(side.flow.sent[1] ?? '');
    expect(ack.values('via')).toEqual(parsedRequest(INVITE).values('via'));
    expect(ack.header('route')).toBe('<sip:p1.example.com;lr>');
    expect([ack.to?.tag, ack.header('cseq'), ack.requestUri]).toEqual(['b1', '1 ACK', 'sip:bob@example.com']);
    side.wheel.advance(31_980);
    expect(side.layer.alive.client).toBe(1);
    side.wheel.advance(30);
    expect(side.layer.alive.client).toBe(0);
  });

  it('over TCP timer D is zero', () => {
    const side = new LayerUnderTest('tcp');
    side.send(INVITE);
    side.receive(responseTo(INVITE, 486));
    expect(side.heard).toEqual(['486']);
    expect(side.flow.startLines).toEqual(['INVITE', 'ACK']);
    expect(side.layer.alive.client).toBe(0);
  });

  it('RFC 6026 7.2: every 2xx passes, from any fork, without an ACK of its own, until timer M', () => {
    const side = new LayerUnderTest();
    side.send(INVITE);
    side.receive(responseTo(INVITE, 200, 'b1'));
    side.receive(responseTo(INVITE, 200, 'b1'));
    side.receive(responseTo(INVITE, 200, 'b2'));
    expect(side.heard).toEqual(['200', '200', '200']);
    side.receive(responseTo(INVITE, 486));
    expect(side.heard).toHaveLength(3);
    expect(side.flow.startLines).toEqual(['INVITE']);
    side.wheel.advance(32_010);
    side.receive(responseTo(INVITE, 200, 'b1'));
    expect(side.heard).toHaveLength(3);
    expect(side.strays).toHaveLength(1);
  });

  it('a transport error ends it (8.1.3.1)', () => {
    const side = new LayerUnderTest();
    side.send(INVITE);
    side.flow.lastSink?.onSendError(new Error('unreachable'));
    expect(side.heard).toEqual(['transport-error']);
    expect(side.layer.alive.client).toBe(0);
    side.wheel.advance(60_000);
    expect(side.heard).toHaveLength(1);
  });
});

describe('cancelling (RFC 3261 9.1)', () => {
  it('waits for a provisional response, then sends one CANCEL with the branch of the INVITE', () => {
    const side = new LayerUnderTest();
    const invite = side.send(INVITE);
    invite.cancel();
    expect(side.flow.startLines).toEqual(['INVITE']);
    side.receive(responseTo(INVITE, 100));
    invite.cancel();
    expect(side.flow.startLines).toEqual(['INVITE', 'CANCEL']);
    const cancel = parsedRequest(side.flow.sent[1] ?? '');
    expect(cancel.values('via')).toEqual(parsedRequest(INVITE).values('via'));
    expect(cancel.to?.tag).toBeUndefined();
    expect([cancel.header('cseq'), cancel.header('route')]).toEqual(['1 CANCEL', '<sip:p1.example.com;lr>']);
  });

  it('keeps the answers to CANCEL and INVITE apart (17.1.3)', () => {
    const side = new LayerUnderTest();
    const invite = side.send(INVITE);
    side.receive(responseTo(INVITE, 180));
    invite.cancel();
    side.receive(responseTo(side.flow.sent[1] ?? '', 200));
    side.receive(responseTo(INVITE, 487));
    expect(side.heard).toEqual(['180', '487']);
    expect(side.flow.startLines).toEqual(['INVITE', 'CANCEL', 'ACK']);
  });

  it('gives up an INVITE whose 487 never comes 64 T1 after the CANCEL', () => {
    const side = new LayerUnderTest();
    const invite = side.send(INVITE);
    side.receive(responseTo(INVITE, 180));
    invite.cancel();
    side.wheel.advance(32_010);
    expect(side.heard).toEqual(['180', 'timeout']);
    expect(side.layer.alive.client).toBe(0);
  });
});

describe('non-INVITE client transaction (RFC 3261 17.1.2)', () => {
  it('timer E resends after T1, 2 T1, 4 T1, then every T2; timer F ends it after 64 T1', () => {
    const side = new LayerUnderTest();
    side.send(BYE);
    const sentAfter = [500, 1_000, 2_000, 4_000, 4_000].map((elapsedMs) => {
      side.wheel.advance(elapsedMs + 10);
      return side.flow.sent.length;
    });
    expect(sentAfter).toEqual([2, 3, 4, 5, 6]);
    side.wheel.advance(20_500);
    expect(side.heard).toEqual(['timeout']);
  });

  it('a provisional response slows retransmission to T2 and leaves timer F running', () => {
    const side = new LayerUnderTest();
    side.send(BYE);
    side.wheel.advance(100);
    side.receive(responseTo(BYE, 100));
    side.wheel.advance(3_900);
    expect(side.flow.sent).toHaveLength(1);
    side.wheel.advance(150);
    expect(side.flow.sent).toHaveLength(2);
    side.wheel.advance(27_800);
    expect(side.heard).toEqual(['100']);
    side.wheel.advance(100);
    expect(side.heard).toEqual(['100', 'timeout']);
  });

  it('passes one final response; timer K absorbs its copies for T4, not at all over TCP', () => {
    for (const transport of ['udp', 'tcp'] as const) {
      const side = new LayerUnderTest(transport);
      side.send(BYE);
      side.receive(responseTo(BYE, 200));
      side.receive(responseTo(BYE, 200));
      expect(side.heard).toEqual(['200']);
      expect(side.strays).toHaveLength(transport === 'udp' ? 0 : 1);
      side.wheel.advance(5_020);
      expect(side.layer.alive.client).toBe(0);
      expect(side.flow.sent).toHaveLength(1);
    }
  });

  it('an owner that throws is reported and disturbs nothing', () => {
    const side = new LayerUnderTest();
    side.onResponse = () => {
      throw new Error('owner');
    };
    side.send(BYE);
    expect(side.receive(responseTo(BYE, 200))).toBe(true);
    expect(side.faults).toHaveLength(1);
    side.wheel.advance(5_020);
    expect(side.layer.alive.client).toBe(0);
  });
});

it('RFC 3261 18.1.2: a response with a branch of nobody is left to the owner', () => {
  const side = new LayerUnderTest();
  side.receive(responseTo(BYE, 200));
  expect(side.strays).toHaveLength(1);
});
