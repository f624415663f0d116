import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { SipServer } from '../../shared/sip/server.ts';
import { waitFor } from '../support/wait-for.ts';
import { TEST_CERTIFICATE } from '../unit/sip/certificate.ts';
import { requestText } from '../unit/sip/messages.ts';

const TRANSPORTS = ['tcp', 'tls', 'ws', 'wss'] as const;
const OPTIONS = requestText({ method: 'OPTIONS' });
const NEIGHBOUR = '127.0.0.2';
const PROXY = '127.0.0.3';

let server: SipServer;
let sockets: Socket[];

beforeEach(async () => {
  sockets = [];
  server = new SipServer({
    listeners: TRANSPORTS.map((transport) => ({
      transport,
      host: '127.0.0.1',
      port: 0,
      certificate: TEST_CERTIFICATE,
    })),
    connections: { isExempt: (address) => address === PROXY },
    onRequest: (_request, transaction) => transaction.reply({ status: 200 }),
  });
  await server.start();
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.stop();
});

const portOf = (transport: (typeof TRANSPORTS)[number]): number =>
  server.listeners[TRANSPORTS.indexOf(transport)]?.port ?? 0;

/** A connection that says nothing. */
function silent(port: number, localAddress = '127.0.0.1'): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

/** An answer to OPTIONS over a connection of its own, from that address. */
function answered(transport: (typeof TRANSPORTS)[number], localAddress: string): Promise<string> {
  const options = { port: portOf(transport), host: '127.0.0.1', localAddress };
  return new Promise((resolve, reject) => {
    if (transport === 'ws' || transport === 'wss') {
      const webSocket = new WebSocket(`${transport}://127.0.0.1:${options.port}`, 'sip', {
        localAddress,
        rejectUnauthorized: false,
      });
      webSocket.once('open', () => webSocket.send(OPTIONS));
      webSocket.once('message', (data) => {
        resolve(String(data));
        webSocket.terminate();
      });
      webSocket.once('error', reject);
      webSocket.once('close', () => reject(new Error('closed')));
      return;
    }
    const socket =
      transport === 'tls' ? connectTls({ ...options, rejectUnauthorized: false }) : connect(options);
    socket.once('data', (bytes) => {
      resolve(bytes.toString('latin1'));
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
    socket.write(OPTIONS);
  });
}

describe.each(TRANSPORTS)('G4 1,500 silent connections of one address to %s', (transport) => {
  it('hold 100 places; a neighbour and a trusted proxy still get in', async () => {
    for (let i = 0; i < 1_500; i += 100) {
      const batch = Array.from({ length: 100 }, () => silent(portOf(transport)));
      await waitFor(() => batch.every((socket) => !socket.connecting), { what: 'the connections' });
    }
    await waitFor(() => server.connections.refused === 1_400, { what: 'the refusals' });
    expect(server.connections.open).toBe(100);
    expect(await answered(transport, NEIGHBOUR)).toContain('200 OK');
    expect(await answered(transport, PROXY)).toContain('200 OK');
    await expect(answered(transport, '127.0.0.1')).rejects.toThrow();
    for (const socket of sockets) socket.destroy();
    await waitFor(() => server.connections.open === 0, { what: 'the places to be free' });
    expect(await answered(transport, '127.0.0.1')).toContain('200 OK');
  });
});

describe('G4 a connection', () => {
  it('over all listeners counts for its address', async () => {
    for (const transport of TRANSPORTS) for (let i = 0; i < 25; i++) silent(portOf(transport));
    await waitFor(() => server.connections.open === 100);
    silent(portOf('tcp'));
    await waitFor(() => server.connections.refused === 1);
  });

  it('that sends no whole message is closed after ten seconds, one that did stays', async () => {
    const mute = silent(portOf('tcp'));
    const pinging = silent(portOf('tcp'));
    const partial = silent(portOf('tcp'));
    const http = silent(portOf('ws'));
    const sound = silent(portOf('tcp'));
    const ticking = setInterval(() => pinging.write('\r\n\r\n'), 500);
    partial.write(OPTIONS.slice(0, 40));
    http.write('GET / HTTP/1.1\r\nHost: ');
    sound.write(OPTIONS);
    const gone = [mute, pinging, partial, http];
    for (const socket of [...gone, sound]) socket.resume();
    await waitFor(() => gone.every((socket) => socket.destroyed), {
      what: 'the silent ones to be closed',
      deadlineMs: 60_000,
    });
    clearInterval(ticking);
    expect(sound.destroyed).toBe(false);
  });
});
