import {
  connect as connectTcp,
  createServer as createTcpServer,
  isIP,
  type Server,
  type Socket,
} from 'node:net';
import { type ConnectionOptions, connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { guarded } from '../guarded.ts';
import { plainAddress } from './address.ts';
import { ConnectionTable } from './connections.ts';
import type { Flow } from './flow.ts';
import { type Certificate, type Listener, listenerAt } from './listener.ts';
import { listening } from './listening.ts';
import { StreamConnection } from './stream-connection.ts';
import type { Transport, TransportContext } from './transport.ts';

const HANDSHAKE_MS = 10_000;

/** RFC 3261 18 over TCP or TLS: accepts connections, opens them on demand and uses each both ways. */
export class StreamTransport implements Transport {
  readonly #context: TransportContext;
  readonly #connections = new ConnectionTable<StreamConnection>();
  #server: Server | undefined;
  #listener: Listener | undefined;

  constructor(context: TransportContext) {
    this.#context = context;
  }

  get listener(): Listener {
    if (this.#listener === undefined) throw new Error('stream listener is not started');
    return this.#listener;
  }

  async start(): Promise<void> {
    const { options, onError, onFault, quota } = this.#context;
    const { certificate, transport } = options;
    const accept = guarded(onFault, (socket: Socket): void => this.#accept(socket));
    this.#server =
      transport === 'tls'
        ? createTlsServer({ ...certificate, handshakeTimeout: HANDSHAKE_MS }, accept)
        : createTcpServer({ noDelay: true }, accept);
    this.#server.prependListener('connection', (socket: Socket) => quota.admit(socket));
    // A failed handshake is the peer's trouble; its socket is destroyed by node.
    this.#server.on('tlsClientError', () => this.#context.counters.dropped++);
    const port = await listening(this.#server, options, onError);
    this.#listener = listenerAt(options, port);
    this.#connections.start();
  }

  stop(): Promise<void> {
    this.#connections.stop();
    const server = this.#server;
    if (!server?.listening) return Promise.resolve();
    return new Promise((resolve) => server.close(() => resolve()));
  }

  flow(token: string): Flow | undefined {
    return this.#connections.byToken(token);
  }

  flowTo(address: string, port: number, host = address): Flow {
    return this.#connections.byRemote(address, port) ?? this.#connect(address, port, host);
  }

  #connect(address: string, port: number, host: string): Flow {
    const { transport, certificate } = this.#context.options;
    const socket =
      transport === 'tls'
        ? connectedTls({ host: address, port, ...nameToProve(host), ...authority(certificate) })
        : connectTcp({ host: address, port, noDelay: true });
    return this.#adopt(socket, { address, port, accepted: false });
  }

  #accept(socket: Socket): void {
    const { destroyed, remoteAddress, remotePort } = socket;
    if (destroyed || remoteAddress === undefined || remotePort === undefined) socket.destroy();
    else this.#adopt(socket, { address: plainAddress(remoteAddress), port: remotePort, accepted: true });
  }

  #adopt(socket: Socket, remote: ConstructorParameters<typeof StreamConnection>[3]): StreamConnection {
    const connection = new StreamConnection(this.#context, this.listener, socket, remote);
    this.#connections.add(connection);
    socket.once('close', () => {
      this.#connections.remove(connection);
      this.#context.onClosed(connection.token);
    });
    return connection;
  }
}

/** SNI and certificate check by name; an IP address is checked as `host` by node itself. */
const nameToProve = (host: string): { servername?: string } => (isIP(host) ? {} : { servername: host });

const authority = (certificate: Certificate | undefined): { ca?: string | Buffer } =>
  certificate?.ca === undefined ? {} : { ca: certificate.ca };

/** Corked until the peer has proven its name: nothing is sent to a server that fails to. */
function connectedTls(options: ConnectionOptions): Socket {
  const socket = connectTls(options);
  socket.cork();
  socket.once('secureConnect', () => socket.uncork());
  return socket;
}
