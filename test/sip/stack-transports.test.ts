import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { MessageDraft } from '../../shared/sip/message/draft.ts';
import { SipServer } from '../../shared/sip/server.ts';
import { waitFor } from '../support/wait-for.ts';
import { TEST_CERTIFICATE } from '../unit/sip/certificate.ts';
import { parsedResponse, requestText, responseTo } from '../unit/sip/messages.ts';
import { Outgoing } from '../unit/sip/sip-peer.ts';

let server: SipServer;
let seen: string[];

beforeEach(async () => {
  seen = [];
  server = new SipServer({
    listeners: (['udp', 'tcp', 'ws', 'tls', 'wss'] as const).map((transport) => ({
      transport,
      host: '127.0.0.1',
      port: 0,
      certificate: TEST_CERTIFICATE,
    })),
    onRequest: (request, transaction) => {
      seen.push(`${transaction.source.transport} ${request.method}`);
      transaction.reply({ status: 200 });
    },
  });
  await server.start();
});

afterEach(() => server.stop());

const portOf = (index: number): number => server.listeners[index]?.port ?? 0;
const OPTIONS = requestText({ method: 'OPTIONS' });

/** A stream client that keeps what it received. */
class Stream {
  readonly socket: Socket;
  received = '';
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.received += bytes.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  async until(text: string): Promise<void> {
    await waitFor(() => this.received.includes(text), { what: `"${text}" on the connection` });
  }
}

describe('UDP', () => {
  let socket: UdpSocket;
  let received: string[];

  beforeEach(async () => {
    received = [];
    socket = createSocket('udp4');
    socket.on('message', (bytes) => received.push(bytes.toString('latin1')));
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  });

  afterEach(() => void socket.close());

  it('RFC 3581 4: with rport the response goes to the port the request came from', async () => {
    socket.send(OPTIONS.replace('alice1', 'alice1;rport'), portOf(0), '127.0.0.1');
    const via = parsedResponse(await waitFor(() => received[0])).topVia;
    expect([via?.received, via?.rport]).toEqual(['127.0.0.1', socket.address().port]);
  });

  it('RFC 3261 18.2.2: without rport it goes to the port of sent-by, received telling the true address', async () => {
    const sentBy = `UDP pc33.example.com:${socket.address().port}`;
    const other = createSocket('udp4');
    other.send(OPTIONS.replace('UDP 192.0.2.1:5060', sentBy), portOf(0), '127.0.0.1');
    const via = parsedResponse(await waitFor(() => received[0])).topVia;
    expect([via?.received, via?.rport, via?.host]).toEqual(['127.0.0.1', undefined, 'pc33.example.com']);
    other.close();
  });

  it('a received parameter that the sender wrote itself is not believed', async () => {
    socket.send(OPTIONS.replace('alice1', 'alice1;received=203.0.113.9;rport=1'), portOf(0), '127.0.0.1');
    const via = parsedResponse(await waitFor(() => received[0])).topVia;
    expect([via?.received, via?.rport]).toEqual(['127.0.0.1', socket.address().port]);
  });

  it('RFC 5626 4.4.1: CRLF CRLF is answered by CRLF, other keepalives by nothing', async () => {
    for (const keepalive of ['\r\n', '\0\0\0\0', '', '\r\n\r\n'])
      socket.send(keepalive, portOf(0), '127.0.0.1');
    expect(await waitFor(() => received[0])).toBe('\r\n');
    socket.send(OPTIONS.replace('alice1', 'alice1;rport'), portOf(0), '127.0.0.1');
    await waitFor(() => received.length > 1);
    expect(received).toHaveLength(2);
  });

  it('a broken request is answered 400 with its fault, garbage by nothing', async () => {
    socket.send('no SIP at all\r\n\r\n', portOf(0), '127.0.0.1');
    socket.send(
      OPTIONS.replace('CSeq: 1 OPTIONS', 'CSeq: 1 INVITE').replace('alice1', 'alice1;rport'),
      portOf(0),
      '127.0.0.1',
    );
    expect(parsedResponse(await waitFor(() => received[0])).reason).toBe('CSeq Method Mismatch');
    expect([server.counters.dropped, server.counters.refused]).toEqual([1, 1]);
    expect(seen).toEqual([]);
  });

  it('a flow token of UDP leads back to the same address, a forged one nowhere', async () => {
    socket.send(OPTIONS.replace('alice1', 'alice1;rport'), portOf(0), '127.0.0.1');
    await waitFor(() => received[0]);
    let token = '';
    const asked = new Outgoing();
    server.route({ uri: `sip:127.0.0.1:${socket.address().port}` }, (found) => {
      if (!(found instanceof Error)) token = found.token;
    });
    const flow = await waitFor(() => server.flow(token));
    server.request(draftOf('OPTIONS'), { flow }, asked);
    const request = await waitFor(() => received.find((each) => each.startsWith('OPTIONS')));
    socket.send(responseTo(request, 200), portOf(0), '127.0.0.1');
    expect((await asked.response()).status).toBe(200);
    expect(server.flow(`${token.slice(0, -1)}!`)).toBeUndefined();
    expect(server.flow('u.e30.AAAAAAAAAAAAAAAA')).toBeUndefined();
  });
});

describe.each([
  ['TCP', 1],
  ['TLS', 3],
] as const)('%s', (name, index) => {
  let stream: Stream;

  beforeEach(async () => {
    const options = { host: '127.0.0.1', port: portOf(index) };
    const socket = name === 'TLS' ? connectTls({ ...options, ca: TEST_CERTIFICATE.ca }) : connect(options);
    stream = new Stream(socket);
    await new Promise((resolve) => socket.once(name === 'TLS' ? 'secureConnect' : 'connect', resolve));
  });

  afterEach(() => void stream.socket.destroy());

  it('RFC 3261 18.3: messages are cut by Content-Length however the bytes arrive', async () => {
    const body = requestText({ method: 'MESSAGE', branch: 'z9hG4bKm' }).replace(
      'Length: 0\r\n\r\n',
      'Length: 4\r\n\r\nab\r\n',
    );
    const bytes = OPTIONS + body + requestText({ method: 'INFO', branch: 'z9hG4bKi' });
    for (let i = 0; i < bytes.length; i += 97) {
      stream.socket.write(bytes.slice(i, i + 97), 'latin1');
      await new Promise((resolve) => setImmediate(resolve));
    }
    await waitFor(() => seen.length === 3);
    const transport = name.toLowerCase();
    expect(seen).toEqual([`${transport} OPTIONS`, `${transport} MESSAGE`, `${transport} INFO`]);
  });

  it('RFC 3261 18.2.2: the response takes the connection of the request, whatever Via says', async () => {
    stream.socket.write(OPTIONS);
    await stream.until('SIP/2.0 200');
    expect(stream.received).toContain(';received=127.0.0.1');
  });

  it('RFC 5626 4.4.1: CRLF CRLF is answered by CRLF, also between messages', async () => {
    stream.socket.write(`\r\n\r\n${OPTIONS}\r\n\r\n`);
    await waitFor(() => stream.received.startsWith('\r\n') && stream.received.endsWith('\r\n\r\n\r\n'));
  });

  it.each([
    ['garbage', 'GET / HTTP/1.1\r\n\r\n', ''],
    ['a missing Content-Length', OPTIONS.replace('Content-Length: 0\r\n', ''), 'SIP/2.0 400'],
    ['a negative Content-Length', OPTIONS.replace('Length: 0', 'Length: -1'), 'SIP/2.0 400'],
    ['a body beyond the limit', OPTIONS.replace('Length: 0', 'Length: 99999'), 'SIP/2.0 513'],
    ['a head beyond the limit', OPTIONS.replace('Content-Length', `X: ${'x'.repeat(70_000)}\r\nX-`), ''],
  ])('%s closes the connection, answered where it can be', async (_name, bytes, answer) => {
    stream.socket.write(bytes);
    await waitFor(() => stream.closed, { what: 'the connection to close' });
    expect(stream.received.startsWith(answer)).toBe(true);
    expect(seen).toEqual([]);
  });

  it('a broken header answers 400 and keeps the connection: its framing is sound', async () => {
    stream.socket.write(
      OPTIONS.replace('CSeq: 1 OPTIONS', 'CSeq: 1 INVITE') + requestText({ method: 'INFO' }),
    );
    await stream.until('SIP/2.0 400');
    await stream.until('SIP/2.0 200');
    expect(stream.closed).toBe(false);
  });
});

describe('connections opened from here', () => {
  it.each([
    ['tcp', 1],
    ['tls', 3],
  ] as const)('%s: a request opens one, the next one uses it again', async (transport, index) => {
    const peer = new SipServer({
      listeners: [{ transport, host: '127.0.0.1', port: 0, certificate: TEST_CERTIFICATE }],
      onRequest: (_request, transaction) => void transaction.reply({ status: 200 }),
    });
    await peer.start();
    const uri = `sip:${peer.listeners[0]?.sentBy};transport=${transport}`;
    for (let i = 0; i < 2; i++) {
      const outgoing = new Outgoing();
      server.request(draftOf('OPTIONS'), { uri }, outgoing);
      const response = await outgoing.response();
      expect(response.topVia?.host).toBe(server.listeners[index]?.host);
    }
    const flows: unknown[] = [];
    for (let i = 0; i < 2; i++) server.route({ uri }, (found) => flows.push(found));
    expect(flows[0]).toBe(flows[1]);
    await peer.stop();
  });

  it('a TLS peer must prove the name it was called by', async () => {
    const certificate = TEST_CERTIFICATE;
    const peer = new SipServer({
      listeners: [{ transport: 'tls', host: '127.0.0.1', port: 0, certificate }],
      onRequest: (_request, transaction) => void transaction.reply({ status: 200 }),
    });
    await peer.start();
    const port = peer.listeners[0]?.port;
    const proven = new Outgoing();
    server.request(draftOf('OPTIONS'), { uri: `sips:localhost:${port};maddr=127.0.0.1` }, proven);
    expect((await proven.response()).status).toBe(200);
    await peer.stop();
    await peer.start();
    const other = peer.listeners[0]?.port;
    const unproven = new Outgoing();
    server.request(draftOf('OPTIONS'), { uri: `sips:elsewhere.example:${other};maddr=127.0.0.1` }, unproven);
    await waitFor(() => unproven.failure === 'transport-error');
    await peer.stop();
  });

  it('a refused connection is a transport error', async () => {
    const outgoing = new Outgoing();
    server.request(draftOf('OPTIONS'), { uri: 'sip:127.0.0.1:1;transport=tcp' }, outgoing);
    await waitFor(() => outgoing.failure === 'transport-error');
  });
});

describe.each([
  ['ws', 2],
  ['wss', 4],
] as const)('%s', (scheme, index) => {
  it('carries one message a frame and answers keepalives', async () => {
    const socket = new WebSocket(`${scheme}://127.0.0.1:${portOf(index)}`, 'sip', {
      ca: TEST_CERTIFICATE.ca,
    });
    const received: string[] = [];
    socket.on('message', (data) => received.push(data.toString()));
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send('\r\n\r\n');
    socket.send(OPTIONS.replace('UDP 192.0.2.1:5060', 'WS x.invalid'));
    await waitFor(() => received.length === 2);
    expect(received[0]).toBe('\r\n');
    expect(received[1]).toContain('SIP/2.0 200');
    expect(seen).toEqual([`${scheme} OPTIONS`]);
    socket.terminate();
  });
});

describe('start and stop', () => {
  it("a port in use fails with node's error and leaves no listener behind", async () => {
    const port = portOf(1);
    const second = new SipServer({
      listeners: [
        { transport: 'udp', host: '127.0.0.1', port: 0 },
        { transport: 'tcp', host: '127.0.0.1', port },
      ],
      onRequest: () => {},
    });
    await expect(second.start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await second.stop();
  });

  it('drained waits for the last final response, or for the signal', async () => {
    await server.drained(AbortSignal.timeout(1_000));
    const busy = new SipServer({
      listeners: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
      onRequest: () => {},
    });
    await busy.start();
    server.request(draftOf('OPTIONS'), { uri: `sip:${busy.listeners[0]?.sentBy}` }, new Outgoing());
    await waitFor(() => busy.transactions.pending === 1);
    const before = performance.now();
    await busy.drained(AbortSignal.timeout(200));
    expect(performance.now() - before).toBeGreaterThan(150);
    await busy.stop();
  });
});

function draftOf(method: string): MessageDraft {
  const draft = MessageDraft.request(method, 'sip:peer@127.0.0.1');
  draft.append('Max-Forwards', '70');
  draft.append('From', '<sip:server@127.0.0.1>;tag=s1');
  draft.append('To', '<sip:peer@127.0.0.1>');
  draft.append('Call-ID', `${performance.now()}`);
  draft.append('CSeq', `1 ${method}`);
  return draft;
}
