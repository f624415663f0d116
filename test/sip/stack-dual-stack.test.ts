import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { SipServer } from '../../shared/sip/server.ts';
import { waitFor } from '../support/wait-for.ts';
import { parsedResponse, requestText } from '../unit/sip/messages.ts';
import { SipPeer } from '../unit/sip/sip-peer.ts';

const OPTIONS = requestText({ method: 'OPTIONS' }).replace('branch=', 'rport;branch=');

async function started(): Promise<SipServer> {
  const server = new SipServer({
    listeners: (['udp', 'tcp'] as const).map((transport) => ({ transport, host: '::', port: 0 })),
    onRequest: (_request, transaction) => transaction.reply({ status: 200 }),
  });
  await server.start();
  return server;
}

it.each(['udp4', 'udp6'] as const)('a UDP listener on :: answers %s', async (type) => {
  const server = await started();
  const socket = createSocket(type);
  const received: string[] = [];
  socket.on('message', (bytes) => received.push(bytes.toString('latin1')));
  socket.send(OPTIONS, server.listeners[0]?.port ?? 0, type === 'udp4' ? '127.0.0.1' : '::1');
  const via = parsedResponse(await waitFor(() => received[0], { what: 'the answer' })).topVia;
  expect(via?.received).toBe(type === 'udp4' ? '127.0.0.1' : '::1');
  socket.close();
  await server.stop();
});

it.each(['127.0.0.1', '::1'])('a TCP listener on :: answers %s', async (host) => {
  const server = await started();
  const socket = connect(server.listeners[1]?.port ?? 0, host);
  let received = '';
  socket.on('data', (bytes: Buffer) => {
    received += bytes.toString('latin1');
  });
  socket.write(OPTIONS);
  await waitFor(() => received.startsWith('SIP/2.0 200'));
  socket.destroy();
  await server.stop();
});

it('a server on :: sends to IPv4 addresses too, and knows them as its own', async () => {
  const server = await started();
  const peer = await SipPeer.start('udp', 'tcp');
  for (const index of [0, 1]) {
    server.route({ uri: peer.uri(index) }, (found) => {
      if (found instanceof Error) throw found;
      found.send(OPTIONS.replace('z9hG4bKalice1', `z9hG4bK${index}`));
    });
  }
  await peer.request('OPTIONS', 2);
  const port = server.listeners[0]?.port;
  expect(['127.0.0.1', '[::1]', 'localhost', '192.0.2.77'].map((host) => server.isLocal(host, port))).toEqual(
    [true, true, true, false],
  );
  await Promise.all([peer.stop(), server.stop()]);
});
