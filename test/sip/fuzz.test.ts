import { createSocket } from 'node:dgram';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { DigestAuthenticator } from '../../shared/sip/digest/authenticator.ts';
import { SipRequest } from '../../shared/sip/message/message.ts';
import { parseMessage } from '../../shared/sip/message/parse.ts';
import { parseContact } from '../../shared/sip/syntax/name-addr.ts';
import { userOf } from '../../shared/sip/syntax/uri.ts';
import type { ServerTransaction } from '../../shared/sip/transaction/user.ts';
import { type Destination, Resolver } from '../../shared/sip/transport/resolver.ts';
import { waitFor } from '../support/wait-for.ts';
import { LayerUnderTest } from '../unit/sip/layer-under-test.ts';
import { requestText } from '../unit/sip/messages.ts';
import { ProxyUnderTest } from '../unit/sip/proxy-under-test.ts';
import { SipPeer } from '../unit/sip/sip-peer.ts';
import { fuzzCount, fuzzSeeds, mutated, seededRandom } from './fuzz-mutations.ts';

const BUDGET_MS = 20;
const ECHOED = ['via', 'from', 'to', 'call-id', 'cseq'];
const seeds = fuzzSeeds();

/** Reads what an owner reads of a request, then answers. */
function readAll(request: SipRequest, transaction: ServerTransaction): void {
  request.values('contact').map(parseContact);
  userOf(request.uri);
  userOf(request.from?.uri);
  request.values('route');
  transaction.reply({ status: 200 });
}

/** The least of a few runs: what the message costs, not what else the machine did meanwhile. */
function costMs(run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4 && least > BUDGET_MS; i++) {
    const start = performance.now();
    run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

describe('mutated messages', () => {
  it('never throw, never cost more than 20 ms, and are answered when RFC 3261 says so', () => {
    const random = seededRandom(20_011);
    for (let i = 0; i < fuzzCount(6_000); i++) {
      const text = mutated(seeds, random);
      const side = new LayerUnderTest();
      side.onRequest = readAll;
      const cost = costMs(() => side.receive(text));
      expect(side.faults, JSON.stringify(text.slice(0, 2_000))).toEqual([]);
      expect(cost, JSON.stringify(text.slice(0, 2_000))).toBeLessThan(BUDGET_MS);
      const message = parseMessage(text);
      if (
        message instanceof SipRequest &&
        message.method !== 'ACK' &&
        ECHOED.every((name) => message.header(name))
      ) {
        expect(side.flow.sent.length, JSON.stringify(text.slice(0, 2_000))).toBeGreaterThan(0);
      }
    }
  });

  it('in URIs lead a resolver to an address, a look-up of a host name, or an error', () => {
    const random = seededRandom(3_263);
    const asked: string[] = [];
    const ask = (name: string): Promise<string> => {
      asked.push(name);
      return new Promise(() => {});
    };
    const uris = [
      'sip:x@h;maddr=[::1];transport=tcp',
      'sips:x@[2001:db8::1]:5061',
      'sip:a%2A@lastcall.test?b=c',
    ];
    const found: Destination[] = [];
    for (let i = 0; i < fuzzCount(6_000); i++) {
      const resolver = new Resolver({ ask, ownNames: ['lastcall.test'], onFault: () => {} });
      resolver.resolve(mutated(uris, random), (each) => {
        if (!(each instanceof Error)) found.push(each);
      });
    }
    expect(found.length).toBeGreaterThan(0);
    expect(found.filter(({ address, port }) => isIP(address) === 0 || port < 1 || port > 65_535)).toEqual([]);
    expect(asked.filter((name) => !/^[\w-]+(\.[\w-]+)*\.?$/.test(name) || name.length > 253)).toEqual([]);
  });

  it('in credentials never throw and never cost more than 20 ms', async () => {
    const random = seededRandom(8_760);
    const digest = new DigestAuthenticator({ realm: 'lastcall.test' });
    const nonce = /nonce="([^"]+)"/.exec(digest.challenge('www', 's').headers?.[0]?.[1] ?? '')?.[1] ?? '';
    const credentialed = seeds
      .filter((seed) => seed.includes('Authorization'))
      .map((seed) => seed.replace('nonce="n"', `nonce="${nonce}"`));
    for (let i = 0; i < fuzzCount(2_000) / 2; i++) {
      const request = parseMessage(mutated(credentialed, random));
      if (!(request instanceof SipRequest)) continue;
      const verdict = await digest.verify(request, {
        kind: 'www',
        source: i % 2 === 0 ? 's' : `${i}`,
        findHa1: () => '0'.repeat(32),
      });
      expect(verdict.kind).not.toBe('ok');
    }
  });
});

describe("mutated messages on a proxy's ports", () => {
  let proxy: ProxyUnderTest;
  let callee: SipPeer;

  beforeEach(async () => {
    proxy = new ProxyUnderTest(['udp', 'tcp', 'ws', 'tls'], { timers: { t1: 10, t2: 40, t4: 50, d: 320 } });
    await proxy.server.start();
    // Mutated Routes name hosts nobody should look up.
    proxy.followsPreloaded = false;
    callee = await SipPeer.start('udp');
    proxy.options = () => ({ targets: [{ uri: callee.uri() }] });
  });

  /** It stands, reported nothing, still serves, and keeps nothing once the timers have run. */
  afterEach(async () => {
    const caller = await SipPeer.start('udp');
    const sound = caller.send({ uri: 'sip:callee@example.com', hop: { uri: proxy.uri() } });
    expect((await sound.response()).status).toBe(200);
    expect(proxy.faults.filter((fault) => fault.kind === 'handler-threw')).toEqual([]);
    await waitFor(() => proxy.server.transactions.server + proxy.server.transactions.client === 0, {
      what: 'every transaction to end',
      deadlineMs: 60_000,
    });
    await Promise.all([proxy.server.stop(), caller.stop(), callee.stop()]);
  });

  const answered = (count: number): Promise<true> =>
    waitFor(() => proxy.server.counters.messagesIn.udp >= count || undefined, { what: 'the datagrams' });

  it('UDP', async () => {
    const random = seededRandom(1);
    const socket = createSocket('udp4');
    for (let i = 0; i < fuzzCount(2_000); i++) {
      socket.send(Buffer.from(mutated(seeds, random), 'latin1'), proxy.port('udp'), '127.0.0.1');
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await answered(fuzzCount(2_000) / 4);
    socket.close();
  });

  it('TCP, a new connection for each that was closed', async () => {
    const random = seededRandom(2);
    let socket: Socket | undefined;
    for (let i = 0; i < fuzzCount(2_000); i++) {
      if (socket === undefined || socket.destroyed) socket = await connected(proxy.port('tcp'));
      socket.write(mutated(seeds, random), 'latin1');
      if (i % 4 === 3) socket.end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket?.destroy();
  });

  it('TLS, a new connection for each that was closed', async () => {
    const random = seededRandom(4);
    let socket: Socket | undefined;
    for (let i = 0; i < fuzzCount(600); i++) {
      if (socket === undefined || socket.destroyed) socket = await secured(proxy.port('tls'));
      socket.write(mutated(seeds, random), 'latin1');
      if (i % 4 === 3) socket.end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket?.destroy();
  });

  it('WebSocket', async () => {
    const random = seededRandom(3);
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port('ws')}`, 'sip');
    await new Promise((resolve) => socket.once('open', resolve));
    for (let i = 0; i < fuzzCount(2_000); i++) {
      socket.send(Buffer.from(mutated(seeds, random), 'latin1'));
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    socket.send(Buffer.from(requestText({ method: 'OPTIONS' })));
    await waitFor(() => proxy.server.counters.messagesIn.ws > fuzzCount(2_000) / 2);
    socket.terminate();
  });
});

function secured(port: number): Promise<Socket> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.on('error', () => {});
  socket.resume();
  return new Promise((resolve) => socket.once('secureConnect', () => resolve(socket)));
}

function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  return new Promise((resolve) => socket.once('connect', () => resolve(socket)));
}
