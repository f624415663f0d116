import type { SigningKeySource } from '../../domain/site-secret.ts';
import type { SipCounters } from '../counters.ts';
import type { Limits } from '../message/limits.ts';
import type { SipMessage } from '../message/message.ts';
import type { ConnectionQuota } from './connection-quota.ts';
import type { Flow } from './flow.ts';
import type { Listener, ListenerOptions } from './listener.ts';
import type { Mirror } from './mirror.ts';
import type { Deliver, Steering } from './steering.ts';

/** Where received messages go. Nothing it does may throw. */
export interface Receiver {
  /**
   * False when the message was broken: a stream whose framing cannot be trusted any more is closed. `waitedMs`: since it was
   * read from its socket; what reads and handles at once leaves it away.
   */
  onMessage(message: SipMessage, flow: Flow, waitedMs?: number): boolean;
}

export interface TransportContext {
  readonly options: ListenerOptions;
  readonly limits: Limits;
  readonly counters: SipCounters;
  readonly receiver: Receiver;
  /** Sees what is sent; what is received passes it in front of the receiver. */
  readonly mirror: Mirror | undefined;
  /** Sign UDP flow tokens. */
  readonly keys: SigningKeySource;
  /** Of the processes that read the same UDP port. */
  readonly steering: Steering | undefined;
  readonly quota: ConnectionQuota;
  readonly onError: (error: Error) => void;
  /** A connection is gone, and its token with it. */
  readonly onClosed: (token: string) => void;
  /** G6: what a handler of ours threw. */
  readonly onFault: (error: unknown) => void;
}

/** One listener and its connections. */
export interface Transport {
  /** Throws before `start` resolved. */
  readonly listener: Listener;
  /** Binds; rejects with node's error (EADDRINUSE ...). */
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * A flow to an IP address: UDP's, an open connection, or one being opened. Undefined where a server cannot connect (WS, WSS).
   * `host` is the name that a new TLS connection's certificate must carry; the address unless given.
   */
  flowTo(address: string, port: number, host?: string): Flow | undefined;
  /** UDP: takes a datagram that another process received for this one. */
  deliver?: Deliver;
  /** The open flow of that token. */
  flow(token: string): Flow | undefined;
}
