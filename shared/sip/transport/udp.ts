import { createHmac } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { acceptedKeys } from '../../domain/site-secret.ts';
import { guarded } from '../guarded.ts';
import { parseMessage } from '../message/parse.ts';
import { familyOf, plainAddress } from './address.ts';
import type { Flow, SendErrorSink } from './flow.ts';
import { Inbox } from './inbox.ts';
import { isKeepalive, PING, PONG } from './keepalive.ts';
import { type Listener, listenerAt } from './listener.ts';
import type { Steering } from './steering.ts';
import type { Transport, TransportContext } from './transport.ts';

const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const MAC_CHARACTERS = 16;

/** RFC 3261 18 over UDP. One socket; a flow is that socket with a remote address. */
export class UdpTransport implements Transport {
  readonly context: TransportContext;
  readonly #inbox: Inbox;
  #socket: Socket | undefined;
  #listener: Listener | undefined;
  /** An IPv6 socket names IPv4 peers in IPv6. */
  #dualStack = false;

  constructor(context: TransportContext) {
    this.context = context;
    const { counters, onFault, options, steering } = context;
    const shared = options.own ? undefined : steering;
    this.#inbox = new Inbox({
      take: guarded(onFault, ({ bytes, address, port, cameMs }) =>
        this.#receive(bytes.toString('latin1'), address, port, shared, performance.now() - cameMs),
      ),
      onOverflow: () => counters.dropped++,
    });
  }

  get listener(): Listener {
    if (this.#listener === undefined) throw new Error('UDP listener is not started');
    return this.#listener;
  }

  start(): Promise<void> {
    const { options, onError } = this.context;
    const family = familyOf(options.host);
    // Addresses are literals by now: an asynchronous lookup per datagram would only cost time.
    const socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      lookup: (host, _options, done) => done(null, host, family),
    });
    this.#socket = socket;
    this.#dualStack = family === 6;
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: options.host, port: options.port, exclusive: options.own ?? false }, () => {
        socket.off('error', reject);
        socket.on('error', onError);
        socket.on('message', (bytes: Buffer, { address, port }: RemoteInfo) =>
          this.#inbox.put(bytes, address, port),
        );
        this.#listener = listenerAt(options, socket.address().port);
        enlargeReceiveBuffer(socket);
        resolve();
      });
    });
  }

  stop(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#inbox.close();
    if (socket === undefined) return Promise.resolve();
    return new Promise((resolve) => socket.close(() => resolve()));
  }

  flowTo(address: string, port: number): Flow {
    return new UdpFlow(this, address, port, this.#wireAddress(address));
  }

  flow(token: string): Flow | undefined {
    const [name, payload, mac] = token.split('.');
    if (name !== 'u' || payload === undefined || mac === undefined || !this.#isSigned(payload, mac))
      return undefined;
    const [local, address, port] = Buffer.from(payload, 'base64url').toString('latin1').split('|');
    return local === this.listener.sentBy && address ? this.flowTo(address, Number(port)) : undefined;
  }

  macOf(payload: string): string {
    return mac(payload, this.context.keys().current);
  }

  #isSigned(payload: string, given: string): boolean {
    return acceptedKeys(this.context.keys()).some((key) => given === mac(payload, key));
  }

  /** `address`: as the socket takes it; undefined for what is no IP address. */
  send(text: string, address: string | undefined, port: number, sink: SendErrorSink | undefined): void {
    try {
      if (this.#socket === undefined) throw new Error('UDP listener is closed');
      // node takes an empty address for the loopback.
      if (address === undefined) throw new Error('not an IP address');
      this.context.counters.messagesOut.udp++;
      const { mirror } = this.context;
      if (mirror !== undefined) {
        const { boundHost, boundPort } = this.listener;
        const to = { address: plainAddress(address), port };
        mirror.saw({ transport: 'udp', from: { address: boundHost, port: boundPort }, to, text });
      }
      this.#socket.send(Buffer.from(text, 'latin1'), port, address, (error) => {
        if (error) this.#fail(error, sink);
      });
    } catch (error) {
      process.nextTick(() => this.#fail(error as Error, sink));
    }
  }

  #fail(error: Error, sink: SendErrorSink | undefined): void {
    const { counters, onFault } = this.context;
    counters.transportErrors++;
    guarded(onFault, () => sink?.onSendError(error))();
  }

  #wireAddress(address: string): string | undefined {
    const family = isIP(address);
    if (family === 0) return undefined;
    return this.#dualStack && family === 4 ? `::ffff:${address}` : address;
  }

  /** From another process; it knew that this is a message, and whose. */
  deliver(text: string, address: string, port: number): void {
    this.#receive(text, address, port, undefined, 0);
  }

  #receive(
    text: string,
    address: string,
    port: number,
    steering: Steering | undefined,
    waitedMs: number,
  ): void {
    const { counters, limits, receiver } = this.context;
    const flow = new UdpFlow(this, plainAddress(address), port, address);
    if (isKeepalive(text)) {
      if (text === PING) flow.send(PONG);
      return;
    }
    const message = parseMessage(text, limits);
    if (message !== undefined && steering?.pass(message, address, port)) return;
    counters.messagesIn.udp++;
    if (message === undefined) counters.dropped++;
    else receiver.onMessage(message, flow, waitedMs);
  }
}

function mac(payload: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(payload).digest('base64url').slice(0, MAC_CHARACTERS);
}

class UdpFlow implements Flow {
  readonly transport = 'udp';
  readonly reliable = false;
  readonly open = true;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #owner: UdpTransport;
  readonly #wireAddress: string | undefined;

  constructor(
    owner: UdpTransport,
    remoteAddress: string,
    remotePort: number,
    wireAddress: string | undefined,
  ) {
    this.#owner = owner;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    this.#wireAddress = wireAddress;
  }

  get listener(): Listener {
    return this.#owner.listener;
  }

  get token(): string {
    const plain = `${this.listener.sentBy}|${this.remoteAddress}|${this.remotePort}`;
    const payload = Buffer.from(plain, 'latin1').toString('base64url');
    return `u.${payload}.${this.#owner.macOf(payload)}`;
  }

  send(text: string, sink?: SendErrorSink): void {
    this.#owner.send(text, this.#wireAddress, this.remotePort, sink);
  }
}

/** The kernel caps it at net.core.rmem_max; a smaller buffer only drops more under bursts. */
function enlargeReceiveBuffer(socket: Socket): void {
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    // The default stays.
  }
}
