import type { SigningKeySource } from '../domain/site-secret.ts';
import { newCounters, type SipCounters } from './counters.ts';
import { guarded } from './guarded.ts';
import type { MessageDraft } from './message/draft.ts';
import { DEFAULT_LIMITS, type Limits } from './message/limits.ts';
import type { SipRequest, SipResponse } from './message/message.ts';
import { randomKeys } from './random-keys.ts';
import { parseUri } from './syntax/uri.ts';
import { newBranch } from './transaction/identifiers.ts';
import { TransactionLayer } from './transaction/layer.ts';
import type { PendingInvites } from './transaction/pending-invites.ts';
import { DEFAULT_TIMERS, type TimerDurations } from './transaction/timer-durations.ts';
import { TimerWheel } from './transaction/timer-wheel.ts';
import type {
  Answer,
  ClientTransaction,
  ClientTransactionUser,
  ServerTransaction,
} from './transaction/user.ts';
import { bareHost, familyOf, hostText } from './transport/address.ts';
import { ConnectionQuota, type ConnectionQuotaOptions } from './transport/connection-quota.ts';
import { createTransport } from './transport/create-transport.ts';
import type { Flow } from './transport/flow.ts';
import type { Listener, ListenerOptions, TransportName } from './transport/listener.ts';
import type { Mirror } from './transport/mirror.ts';
import { mirrored } from './transport/mirrored.ts';
import { isLoopback, isOwnInterface } from './transport/own-interfaces.ts';
import { type Destination, Resolver } from './transport/resolver.ts';
import { responseFlow } from './transport/response-route.ts';
import type { Deliver, Steering } from './transport/steering.ts';
import type { Transport } from './transport/transport.ts';

/** Worth a log line; the server carries on. */
export interface SipFault {
  readonly kind: 'handler-threw' | 'transport-error';
  readonly error: Error;
}

export interface SipServerOptions {
  readonly listeners: readonly ListenerOptions[];
  /** Every valid request but ACK and CANCEL. What it throws or rejects with is answered with 500. */
  readonly onRequest: (request: SipRequest, transaction: ServerTransaction) => void;
  /**
   * Asked of each INVITE and REGISTER outside a dialog, with how long it has waited since it came in: an answer refuses it
   * without anything being kept of it. All are served unless given.
   */
  readonly onLate?: (request: SipRequest, source: Flow, waitedMs: number) => Answer | undefined;
  /** An ACK that belongs to no server transaction: one for a 2xx (RFC 3261 13.3.1.4). Dropped unless given. */
  readonly onAck?: (ack: SipRequest, source: Flow) => void;
  /** A response that matches no client transaction; dropped unless given (RFC 6026 8). */
  readonly onStrayResponse?: (response: SipResponse, source: Flow) => void;
  readonly onFault?: (fault: SipFault) => void;
  /** The flow of that token is gone: what was registered over it is not there any more (RFC 5626 4.2). */
  readonly onFlowClosed?: (token: string) => void;
  /** Names that mean this server, e.g. its domain: never looked up, and nothing is sent to them. */
  readonly ownNames?: readonly string[];
  /** Bounds on accepted connections, over all listeners. */
  readonly connections?: ConnectionQuotaOptions;
  readonly limits?: Partial<Limits>;
  /** Sees every message, as it is received and as it is sent. */
  readonly mirror?: Mirror;
  readonly timers?: Partial<TimerDurations>;
  /** Methods for which a merged request is answered 482 (RFC 3261 8.2.2.2); for UAS roles such as REGISTER. Default none. */
  readonly mergedRequests?: readonly string[];
  /**
   * Sign UDP flow tokens and Record-Route values. Give the same after a restart, and to every process behind one address,
   * so that dialogs go on; random unless given.
   */
  readonly keys?: SigningKeySource;
  /** With other processes behind the same listeners; started and stopped by its owner. */
  readonly steering?: Steering;
  /** For tests, which move it themselves; the server drives its own otherwise. */
  readonly wheel?: TimerWheel;
}

/** Where a request goes next: a flow, or a URI whose host and transport parameter are resolved (RFC 3263, A and AAAA only). */
export type Hop = { readonly flow: Flow } | { readonly uri: string };

/** The listeners, the transaction layer and one callback for requests. */
export class SipServer {
  readonly counters: SipCounters = newCounters();
  readonly keys: SigningKeySource;
  readonly wheel: TimerWheel;
  readonly #transports: readonly Transport[];
  readonly #layer: TransactionLayer;
  readonly #resolver: Resolver;
  readonly #quota: ConnectionQuota;
  readonly #steering: Steering | undefined;
  readonly #drivesWheel: boolean;
  readonly #onFault: (fault: SipFault) => void;
  #ticking: NodeJS.Timeout | undefined;

  constructor(options: SipServerOptions) {
    this.#onFault = options.onFault ?? (() => {});
    this.keys = options.keys ?? randomKeys();
    this.#steering = options.steering;
    this.#drivesWheel = options.wheel === undefined;
    this.wheel = options.wheel ?? new TimerWheel();
    this.wheel.onFault = (error) => this.faulted(error);
    this.#resolver = new Resolver({
      ownNames: options.ownNames ?? [],
      onFault: (error) => this.faulted(error),
    });
    this.#layer = this.#createLayer(options);
    this.#quota = new ConnectionQuota(options.connections);
    this.#transports = this.#createTransports(options);
  }

  /** Bound addresses, in the order given; complete after `start`. */
  get listeners(): readonly Listener[] {
    return this.#transports.map((transport) => transport.listener);
  }

  /** Transactions alive, for overload decisions; `pending` are server transactions without a final response. */
  get transactions(): { readonly server: number; readonly client: number; readonly pending: number } {
    return this.#layer.alive;
  }

  /** INVITE server transactions without a final response: `total`, and `from(address)` of one source. */
  get pendingInvites(): Pick<PendingInvites, 'total' | 'from'> {
    return this.#layer.pendingInvites;
  }

  /** Binds every listener; when one fails the others are closed and its error is thrown. */
  async start(): Promise<void> {
    try {
      for (const transport of this.#transports) await transport.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
    if (this.#drivesWheel) this.#ticking = driven(this.wheel);
  }

  /** Resolves when no server transaction waits for a final response, or at the signal. Refusing new requests is the owner's. */
  async drained(signal: AbortSignal): Promise<void> {
    while (this.#layer.alive.pending > 0 && !signal.aborted) {
      await new Promise<void>((resolve) =>
        this.wheel.schedule(DRAIN_CHECK_MS, { onTimer: () => resolve() }, 'drain'),
      );
    }
  }

  /** Closes listeners and connections, drops transactions without a word. */
  async stop(): Promise<void> {
    clearInterval(this.#ticking);
    await Promise.all(this.#transports.map((transport) => transport.stop()));
  }

  /** The flow of that token while its connection lives. */
  flow(token: string): Flow | undefined {
    for (const transport of this.#transports) {
      const flow = transport.flow(token);
      if (flow !== undefined) return flow;
    }
    return undefined;
  }

  /** A flow from that listener to an IP address: UDP's, an open connection or one being opened. */
  flowFrom(transport: TransportName, localPort: number, address: string, port: number): Flow | undefined {
    const own = this.#transports.find(
      ({ listener }) => listener.transport === transport && listener.port === localPort,
    );
    return own?.flowTo(address, port);
  }

  /** True for an address this server listens on or advertises; a listener on every interface has every address of the machine. */
  isLocal(host: string, port: number | undefined): boolean {
    const bare = bareHost(host).toLowerCase();
    return this.#transports.some(({ listener }) => {
      const defaultPort = listener.transport === 'tls' || listener.transport === 'wss' ? 5061 : 5060;
      if (listener.port !== (port ?? defaultPort) && listener.boundPort !== port) return false;
      if (listener.host === hostText(bare) || listener.boundHost === bare) return true;
      if (bare === 'localhost') return listener.everyInterface || isLoopback(listener.boundHost);
      return listener.everyInterface && isOwnInterface(bare);
    });
  }

  /** Accepted connections that are open, and those refused since the start, for metrics. */
  get connections(): ConnectionQuota['connections'] {
    return this.#quota.connections;
  }

  /** Look-ups under way and answers kept, for metrics. */
  get lookups(): Resolver['size'] {
    return this.#resolver.size;
  }

  /** For what another process received on the UDP listener that is shared with it. */
  readonly deliver: Deliver = (text, address, port) => {
    const shared = this.#transports.find(({ listener }) => listener.transport === 'udp' && !listener.own);
    shared?.deliver?.(text, address, port);
  };

  /** A flow to where a datagram once came from; undefined where no listener can send to. */
  datagramFlow(address: string, port: number): Flow | undefined {
    const found = this.#flowTo({ transport: 'udp', host: address, address, port });
    return found instanceof Error ? undefined : found;
  }

  /** Finds the flow of a hop; calls back at once unless a name must be looked up. */
  route(hop: Hop, done: (found: Flow | Error) => void): void {
    if ('flow' in hop) done(hop.flow.open ? hop.flow : new Error('the flow is closed'));
    else
      this.#resolver.resolve(hop.uri, (found) => done(found instanceof Error ? found : this.#flowTo(found)));
  }

  /** Sends a ready text that carries `branch` in its top Via, in a client transaction. */
  send(
    method: string,
    branch: string,
    text: string,
    flow: Flow,
    user: ClientTransactionUser,
  ): ClientTransaction {
    return this.#layer.start({ method, branch, text, flow, user });
  }

  /** Sends a request of one's own (e.g. an OPTIONS ping) in a client transaction; Via is added. */
  request(draft: MessageDraft, hop: Hop, user: ClientTransactionUser): void {
    const method = draft.startLine.slice(0, draft.startLine.indexOf(' '));
    const branch = this.newBranch();
    this.route(hop, (found) => {
      if (found instanceof Error) {
        user.onTransportError(found, undefined);
        return;
      }
      draft.push('via', viaValue(found, branch));
      this.send(method, branch, draft.serialize(), found, user);
    });
  }

  newBranch(): string {
    return newBranch(this.#steering?.mark);
  }

  /** Where this process stands among several with the same listeners; undefined for one alone. */
  get processIndex(): number | undefined {
    return this.#steering?.index;
  }

  /**
   * A flow to an IP address and port from the listener that is this process's own, for what the other processes behind the same
   * address must take for another's. Undefined without such a listener.
   */
  ownFlow(uriText: string): Flow | undefined {
    const own = this.#transports.find(({ listener }) => listener.own);
    const uri = own && parseUri(uriText);
    return uri?.kind === 'sip' ? own?.flowTo(bareHost(uri.host), uri.port ?? 5060) : undefined;
  }

  /** Tells the owner of something that went wrong outside any request. */
  faulted(error: unknown): void {
    this.#fault('handler-threw', error);
  }

  #flowTo({ transport, host, address, port }: Destination): Flow | Error {
    const family = familyOf(address);
    for (const each of this.#transports) {
      if (each.listener.transport !== transport || !each.listener.families.includes(family)) continue;
      const flow = each.flowTo(address, port, host);
      if (flow !== undefined) return flow;
    }
    return new Error(`no ${transport} listener can send to this address`);
  }

  #createLayer(options: SipServerOptions): TransactionLayer {
    return new TransactionLayer({
      wheel: this.wheel,
      durations: { ...DEFAULT_TIMERS, ...options.timers },
      counters: this.counters,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      mergedRequests: options.mergedRequests ?? [],
      responseFlow: (request, source) => responseFlow(request, source, this.#transports),
      onRequest: options.onRequest,
      onLate: options.onLate ?? (() => undefined),
      onAck: options.onAck ?? (() => {}),
      onStrayResponse: options.onStrayResponse ?? (() => {}),
      onFault: (error) => this.faulted(error),
    });
  }

  #createTransports(options: SipServerOptions): readonly Transport[] {
    const { mirror } = options;
    const shared = {
      quota: this.#quota,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      counters: this.counters,
      receiver: mirror === undefined ? this.#layer : mirrored(this.#layer, mirror),
      mirror,
      keys: this.keys,
      steering: options.steering,
      onError: (error: Error) => this.#fault('transport-error', error),
      onFault: (error: unknown) => this.faulted(error),
      onClosed: guarded((error) => this.faulted(error), options.onFlowClosed ?? (() => {})),
    };
    return options.listeners.map((listener) => createTransport({ ...shared, options: listener }));
  }

  #fault(kind: SipFault['kind'], error: unknown): void {
    this.#onFault({ kind, error: error instanceof Error ? error : new Error(String(error)) });
  }
}

const DRAIN_CHECK_MS = 50;

/** The Via of a request sent over `flow` (RFC 3261 18.1.1, RFC 3581 3). */
export const viaValue = (flow: Flow, branch: string): string =>
  `SIP/2.0/${flow.transport.toUpperCase()} ${flow.listener.sentBy};branch=${branch};rport`;

/** Moves the wheel with the monotonic clock. */
function driven(wheel: TimerWheel): NodeJS.Timeout {
  let last = performance.now();
  const ticking = setInterval(() => {
    const now = performance.now();
    wheel.advance(now - last);
    last = now;
  }, wheel.tickMs);
  return ticking.unref();
}
