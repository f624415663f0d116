import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Server, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { guarded } from '../guarded.ts';
import { plainAddress } from './address.ts';
import { ConnectionTable } from './connections.ts';
import type { Flow } from './flow.ts';
import { type Listener, listenerAt } from './listener.ts';
import { listening } from './listening.ts';
import type { Transport, TransportContext } from './transport.ts';
import { WebSocketConnection } from './websocket-connection.ts';

const SUBPROTOCOL = 'sip';
const HANDSHAKE_MS = 10_000;
/** A connection that does not become a WebSocket in time is closed. */
const HANDSHAKE = {
  headersTimeout: HANDSHAKE_MS,
  requestTimeout: HANDSHAKE_MS,
  connectionsCheckingInterval: 2_000,
};

/** RFC 7118 over WS or WSS. Only clients connect, so a closed flow cannot be opened again from here. */
export class WebSocketTransport implements Transport {
  readonly #context: TransportContext;
  readonly #connections = new ConnectionTable<WebSocketConnection>();
  #http: Server | undefined;
  #webSockets: WebSocketServer | undefined;
  #listener: Listener | undefined;

  constructor(context: TransportContext) {
    this.#context = context;
  }

  get listener(): Listener {
    if (this.#listener === undefined) throw new Error('WebSocket listener is not started');
    return this.#listener;
  }

  async start(): Promise<void> {
    const { options, limits, onError, onFault, quota } = this.#context;
    const http =
      options.transport === 'wss'
        ? createHttpsServer(
            { ...options.certificate, ...HANDSHAKE, handshakeTimeout: HANDSHAKE_MS },
            refuseHttp,
          )
        : createHttpServer(HANDSHAKE, refuseHttp);
    http.prependListener('connection', (socket: Socket) => quota.admit(socket));
    this.#http = http;
    this.#webSockets = new WebSocketServer({
      server: http,
      maxPayload: limits.messageBytes,
      perMessageDeflate: false,
      handleProtocols: () => SUBPROTOCOL,
      verifyClient: (info, done) => this.#verify(info.req, done),
    });
    this.#webSockets.on('error', onError);
    this.#webSockets.on(
      'connection',
      guarded(onFault, (socket: WebSocket, request: IncomingMessage) => this.#adopt(socket, request)),
    );
    const port = await listening(http, options, onError);
    this.#listener = listenerAt(options, port);
    this.#connections.start();
  }

  stop(): Promise<void> {
    this.#connections.stop();
    this.#webSockets?.close();
    const http = this.#http;
    if (!http?.listening) return Promise.resolve();
    return new Promise((resolve) => http.close(() => resolve()));
  }

  flow(token: string): Flow | undefined {
    return this.#connections.byToken(token);
  }

  flowTo(address: string, port: number): Flow | undefined {
    return this.#connections.byRemote(address, port);
  }

  /** RFC 7118 4.1: a client that does not speak `sip` is refused. */
  #verify(request: IncomingMessage, done: (accepted: boolean, status?: number) => void): void {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((each) => each.trim());
    if (!offered.includes(SUBPROTOCOL)) done(false, 400);
    else done(true);
  }

  #adopt(socket: WebSocket, request: IncomingMessage): void {
    const { remoteAddress, remotePort } = request.socket;
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.terminate();
      return;
    }
    const remote = { address: plainAddress(remoteAddress), port: remotePort };
    const connection = new WebSocketConnection(this.#context, this.listener, socket, remote);
    this.#connections.add(connection);
    socket.once('close', () => {
      this.#connections.remove(connection);
      this.#context.onClosed(connection.token);
    });
  }
}

function refuseHttp(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(426, { 'content-type': 'text/plain' }).end('This port speaks SIP over WebSocket.\n');
}
