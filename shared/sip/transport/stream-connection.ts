import type { Socket } from 'node:net';
import { guarded } from '../guarded.ts';
import type { SipMessage } from '../message/message.ts';
import { type Connection, newToken } from './connections.ts';
import type { SendErrorSink } from './flow.ts';
import { PONG } from './keepalive.ts';
import type { Listener, TransportName } from './listener.ts';
import { sentOver } from './mirror.ts';
import { StreamFramer } from './stream-framer.ts';
import type { TransportContext } from './transport.ts';

/** Unsent bytes at which a peer that does not read is given up. */
const MAX_UNSENT_BYTES = 1024 * 1024;
/** Time for a last response to leave before a broken connection is cut. */
const LINGER_MS = 1_000;

/** One TCP or TLS connection. */
export class StreamConnection implements Connection {
  readonly reliable = true;
  readonly token = newToken();
  readonly transport: TransportName;
  readonly listener: Listener;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #context: TransportContext;
  readonly #socket: Socket;
  readonly #framer: StreamFramer;
  /** Senders whose bytes are still on their way; they hear when the connection fails. */
  readonly #waiting = new Set<SendErrorSink>();
  #activeAt = performance.now();
  #silentSince: number | undefined;
  #partialSince: number | undefined;
  #closing = false;
  #failure: Error | undefined;

  /** `accepted` says who connected. */
  constructor(
    context: TransportContext,
    listener: Listener,
    socket: Socket,
    remote: { readonly address: string; readonly port: number; readonly accepted: boolean },
  ) {
    this.transport = context.options.transport;
    this.listener = listener;
    this.remoteAddress = remote.address;
    this.remotePort = remote.port;
    this.#silentSince = remote.accepted ? this.#activeAt : undefined;
    this.#context = context;
    this.#socket = socket;
    this.#framer = new StreamFramer(context.limits);
    socket.on(
      'data',
      guarded(context.onFault, (bytes: Buffer) => this.#onData(bytes)),
    );
    socket.on('error', (error) => {
      this.#failure = error;
    });
    socket.once(
      'close',
      guarded(context.onFault, () => this.#onClose()),
    );
  }

  get open(): boolean {
    return !this.#socket.destroyed && !this.#closing;
  }

  get activeAt(): number {
    return this.#activeAt;
  }

  get silentSince(): number | undefined {
    return this.#silentSince;
  }

  get partialSince(): number | undefined {
    return this.#partialSince;
  }

  send(text: string, sink?: SendErrorSink): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) {
      process.nextTick(() => this.#fail(sink, new Error('connection is closed')));
      return;
    }
    this.#context.counters.messagesOut[this.transport]++;
    this.#context.mirror?.saw(sentOver(this, text));
    if (sink !== undefined) this.#waiting.add(sink);
    // A failed write keeps its sink waiting: `close` follows and tells it.
    const written =
      sink === undefined ? undefined : (error?: Error | null) => error || this.#waiting.delete(sink);
    this.#socket.write(text, 'latin1', written);
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) this.#socket.destroy(new Error('peer does not read'));
  }

  /** TCP has keepalives of its own. */
  probe(): void {
    this.#socket.setKeepAlive(true, 30_000);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onData(bytes: Buffer): void {
    if (this.#closing) return;
    this.#activeAt = performance.now();
    this.#framer.push(bytes.toString('latin1'));
    for (let frame = this.#framer.next(); frame !== undefined; frame = this.#framer.next()) {
      if (frame.kind === 'ping') this.send(PONG);
      else if (frame.kind === 'broken') {
        this.#close(frame.message);
        return;
      } else {
        this.#context.counters.messagesIn[this.transport]++;
        this.#partialSince = undefined;
        this.#silentSince = undefined;
        this.#context.receiver.onMessage(frame.message, this);
        if (!this.open) return;
      }
    }
    this.#partialSince = this.#framer.partial ? (this.#partialSince ?? this.#activeAt) : undefined;
  }

  /** RFC 3261 18.3: what cannot be framed is answered if it can be, then the connection is closed. */
  #close(message: SipMessage | undefined): void {
    if (message === undefined) this.#context.counters.dropped++;
    else this.#context.receiver.onMessage(message, this);
    this.#closing = true;
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  #onClose(): void {
    const error = this.#failure ?? new Error('connection closed');
    for (const sink of this.#waiting) this.#fail(sink, error);
    this.#waiting.clear();
  }

  #fail(sink: SendErrorSink | undefined, error: Error): void {
    this.#context.counters.transportErrors++;
    guarded(this.#context.onFault, () => sink?.onSendError(error))();
  }
}
