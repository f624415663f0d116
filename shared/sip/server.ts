import type { SipCounters } from './counters.ts';
import type { MessageDraft } from './message/draft.ts';
import type { Limits } from './message/limits.ts';
import type { SipRequest, SipResponse } from './message/message.ts';
import type { TimerDurations } from './transaction/timer-durations.ts';
import type { TimerWheel } from './transaction/timer-wheel.ts';
import type { ClientTransactionUser, ServerTransaction } from './transaction/user.ts';
import type { Flow } from './transport/flow.ts';
import type { Listener, ListenerOptions } from './transport/listener.ts';

/** Worth a log line; the server carries on. */
export interface SipFault {
  readonly kind: 'handler-threw' | 'transport-error';
  readonly error: Error;
}

export interface SipServerOptions {
  readonly listeners: readonly ListenerOptions[];
  /** Every valid request but ACK and CANCEL. What it throws is answered with 500. */
  readonly onRequest: (request: SipRequest, transaction: ServerTransaction) => void;
  /** An ACK that belongs to no server transaction: one for a 2xx (RFC 3261 13.3.1.4). Dropped unless given. */
  readonly onAck?: (ack: SipRequest, source: Flow) => void;
  /** A response that matches no client transaction; dropped unless given (RFC 6026 8). */
  readonly onStrayResponse?: (response: SipResponse, source: Flow) => void;
  readonly onFault?: (fault: SipFault) => void;
  readonly limits?: Partial<Limits>;
  readonly timers?: Partial<TimerDurations>;
  /** Methods for which a merged request is answered 482 (RFC 3261 8.2.2.2); for UAS roles such as REGISTER. Default none. */
  readonly mergedRequests?: readonly string[];
  /** Signs the tokens of UDP flows; give the same one after a restart to keep them valid. Random unless given. */
  readonly flowSecret?: Uint8Array;
  /** For tests with their own clock. */
  readonly wheel?: TimerWheel;
}

/** Where a request goes next: a flow, or a URI whose host and transport parameter are resolved (RFC 3263, A and AAAA only). */
export type Hop = { readonly flow: Flow } | { readonly uri: string };

/** Listeners, transaction layer and one callback for requests. */
export declare class SipServer {
  constructor(options: SipServerOptions);
  /** Bound addresses, in the order given; complete after `start`. */
  readonly listeners: readonly Listener[];
  readonly counters: SipCounters;
  /** Transactions alive, for overload decisions: `server.pending` have no final response yet. */
  readonly transactions: { readonly server: number; readonly client: number; readonly pending: number };
  /** Binds every listener; when one fails the others are closed and its error is thrown. */
  start(): Promise<void>;
  /** Resolves when no server transaction waits for a final response, or at the signal. Refusing new requests is the owner's. */
  drained(signal: AbortSignal): Promise<void>;
  /** Closes listeners and connections, drops transactions without a word. */
  stop(): Promise<void>;
  /** The flow of that token while its connection lives. */
  flow(token: string): Flow | undefined;
  /** True for an address this server listens on (or advertises). */
  isLocal(host: string, port: number | undefined): boolean;
  /** Sends a request of one's own (e.g. an OPTIONS ping) in a client transaction; Via is added. */
  request(draft: MessageDraft, hop: Hop, user: ClientTransactionUser): void;
}
