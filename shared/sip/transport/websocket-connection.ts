import { isUtf8 } from 'node:buffer';
import type { RawData, WebSocket } from 'ws';
import { guarded } from '../guarded.ts';
import { parseMessage } from '../message/parse.ts';
import { type Connection, newToken } from './connections.ts';
import type { SendErrorSink } from './flow.ts';
import { isKeepalive, PING, PONG } from './keepalive.ts';
import type { Listener, TransportName } from './listener.ts';
import { sentOver } from './mirror.ts';
import type { TransportContext } from './transport.ts';

/** Unsent bytes at which a peer that does not read is given up. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/** One WebSocket: each of its messages is one SIP message (RFC 7118 5). */
export class WebSocketConnection implements Connection {
  readonly reliable = true;
  readonly token = newToken();
  readonly partialSince = undefined;
  readonly transport: TransportName;
  readonly listener: Listener;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #context: TransportContext;
  readonly #socket: WebSocket;
  #activeAt = performance.now();
  #silentSince: number | undefined = this.#activeAt;

  constructor(
    context: TransportContext,
    listener: Listener,
    socket: WebSocket,
    remote: { readonly address: string; readonly port: number },
  ) {
    this.transport = context.options.transport;
    this.listener = listener;
    this.remoteAddress = remote.address;
    this.remotePort = remote.port;
    this.#context = context;
    this.#socket = socket;
    socket.on(
      'message',
      guarded(context.onFault, (data: RawData) => this.#onData(data)),
    );
    socket.on('pong', () => this.#touch());
    socket.on('ping', () => this.#touch());
    // `ws` closes the connection itself after a protocol error; `close` follows.
    socket.on('error', () => context.counters.dropped++);
  }

  get open(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  get silentSince(): number | undefined {
    return this.#silentSince;
  }

  get activeAt(): number {
    return this.#activeAt;
  }

  send(text: string, sink?: SendErrorSink): void {
    const { counters, onFault } = this.#context;
    const fail = guarded(onFault, (error: Error): void => {
      counters.transportErrors++;
      sink?.onSendError(error);
    });
    if (!this.open) {
      process.nextTick(fail, new Error('WebSocket is closed'));
      return;
    }
    counters.messagesOut[this.transport]++;
    this.#context.mirror?.saw(sentOver(this, text));
    const bytes = Buffer.from(text, 'latin1');
    this.#socket.send(bytes, { binary: !isUtf8(bytes) }, (error) => error && fail(error));
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) this.#socket.terminate();
  }

  /** A browser answers pings by itself; a gone one leaves the connection idle until it is closed. */
  probe(): void {
    this.#socket.ping();
  }

  destroy(): void {
    this.#socket.terminate();
  }

  #touch(): void {
    this.#activeAt = performance.now();
  }

  #onData(data: RawData): void {
    this.#touch();
    const { counters, limits, receiver } = this.#context;
    const text = bytesOf(data).toString('latin1');
    if (isKeepalive(text)) {
      if (text === PING) this.send(PONG);
      return;
    }
    counters.messagesIn[this.transport]++;
    this.#silentSince = undefined;
    const message = parseMessage(text, limits);
    if (message === undefined) counters.dropped++;
    else receiver.onMessage(message, this);
  }
}

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? Buffer.from(data) : data;
}
