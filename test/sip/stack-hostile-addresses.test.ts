import { createSocket, type Socket } from 'node:dgram';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { parsedResponse, requestText } from '../unit/sip/messages.ts';
import { ProxyUnderTest } from '../unit/sip/proxy-under-test.ts';
import { Outgoing, SipPeer } from '../unit/sip/sip-peer.ts';

const HOSTILE = [
  'sip:x@[]',
  'sip:x@h;maddr=',
  'sip:x@h;maddr=[',
  'sip:x@h;maddr=[]',
  'sip:x@[::1;maddr=]',
  'sip:x@.',
  'sip:x@..;transport=tcp',
  'sip:[]',
  'sip:x@127.0.0.1;maddr=;transport=tls',
  'sip:x@[:::]',
  'sip:x@[1.2.3.4]',
  `sip:x@${'a'.repeat(300)}`,
];

let proxy: ProxyUnderTest;
let socket: Socket;
let received: string[];

beforeEach(async () => {
  proxy = new ProxyUnderTest(['udp', 'tcp']);
  await proxy.server.start();
  received = [];
  socket = createSocket('udp4');
  socket.on('message', (bytes) => received.push(bytes.toString('latin1')));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  socket.close();
  await proxy.server.stop();
});

const send = (message: string): void =>
  socket.send(Buffer.from(message, 'latin1'), proxy.port('udp'), '127.0.0.1');

/** A sound request is still answered: the process stands. */
async function stands(): Promise<void> {
  const caller = await SipPeer.start('udp');
  const outgoing = caller.send({ method: 'OPTIONS', uri: 'sip:x@example.com', hop: { uri: proxy.uri() } });
  expect((await outgoing.response()).status).toBe(480);
  expect(proxy.faults).toEqual([]);
  await caller.stop();
}

describe.each(HOSTILE)('G6 %s', (uri) => {
  it('in an ACK ends nothing', async () => {
    for (let i = 0; i < 20; i++) send(requestText({ method: 'ACK', uri, toTag: 'b', branch: `z9hG4bK${i}` }));
    await stands();
  });

  it('in a Request-URI is answered 400', async () => {
    send(requestText({ uri }).replace('branch=', 'rport;branch='));
    expect(parsedResponse(await waitFor(() => received[0])).status).toBe(400);
    await stands();
  });

  it('in a Route or Contact is answered 400', async () => {
    for (const header of ['Route', 'Contact']) {
      send(
        requestText({ extra: [`${header}: <${uri};lr>`], branch: `z9hG4bK${header}` }).replace(
          'branch=',
          'rport;branch=',
        ),
      );
    }
    await waitFor(() => received.length === 2);
    expect(received.map((each) => parsedResponse(each).status)).toEqual([400, 400]);
    await stands();
  });

  it('as a stored target is a transport error of its own', async () => {
    const failed = new Outgoing();
    proxy.server.route({ uri }, (found) => {
      if (found instanceof Error) failed.failure = 'transport-error';
    });
    await waitFor(() => failed.failure);
    proxy.options = () => ({ targets: [{ uri }] });
    const caller = await SipPeer.start('udp');
    const outgoing = caller.send({ uri: 'sip:x@example.com', hop: { uri: proxy.uri() } });
    expect((await outgoing.response()).status).toBe(500);
    expect(proxy.faults).toEqual([]);
    await caller.stop();
  });
});

describe('G6 what a callback throws', () => {
  it('after a look-up is reported', async () => {
    proxy.server.route({ uri: 'sip:x@localhost' }, () => {
      throw new Error('boom');
    });
    await waitFor(() => proxy.faults.length === 1);
    expect(proxy.faults[0]?.error).toEqual(new Error('boom'));
  });
});

describe('G4 a response', () => {
  it('never goes to the maddr of a Via', async () => {
    const victim = createSocket('udp4');
    const hits: string[] = [];
    victim.on('message', (bytes) => hits.push(bytes.toString('latin1')));
    await new Promise<void>((resolve) => victim.bind(socket.address().port, '127.0.0.2', resolve));
    const { port } = socket.address();
    send(
      requestText({ method: 'OPTIONS' }).replace(
        '192.0.2.1:5060;branch=',
        `192.0.2.1:${port};maddr=127.0.0.2;branch=`,
      ),
    );
    await waitFor(() => received.length === 1);
    expect(hits).toEqual([]);
    victim.close();
  });
});
