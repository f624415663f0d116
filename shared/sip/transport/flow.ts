import type { Listener, TransportName } from './listener.ts';

/** Told when a message could not be handed to the network (RFC 3261 18.4). */
export interface SendErrorSink {
  onSendError(error: Error): void;
}

/**
 * A two-way path to one remote address (RFC 5626 1): a connection for TCP, TLS, WS and WSS, a local socket
 * with a remote address and port for UDP. Requests to a registered contact and responses go out on it.
 */
export interface Flow {
  readonly transport: TransportName;
  /** False for UDP only: decides which transaction timers run (RFC 3261 17). */
  readonly reliable: boolean;
  readonly listener: Listener;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Opaque, URI-safe and unforgeable; `SipServer.flow(token)` finds the flow again in the same process. */
  readonly token: string;
  /** False once the connection is gone; a UDP flow is always open. */
  readonly open: boolean;
  /** Hands the latin1 text to the network; never throws. Without a sink a failure is only counted. */
  send(text: string, sink?: SendErrorSink): void;
}
