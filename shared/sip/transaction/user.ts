import type { SipRequest, SipResponse } from '../message/message.ts';
import type { HeaderLine, OutgoingResponse } from '../message/response.ts';
import type { Flow } from '../transport/flow.ts';

/** A response that this server makes itself. The transaction adds Via, From, To with its tag, Call-ID, CSeq. */
export interface Answer {
  readonly status: number;
  /** RFC 3261's phrase for the status unless given. */
  readonly reason?: string;
  readonly headers?: readonly HeaderLine[];
  /** Bytes as latin1; Content-Length is written for it. */
  readonly body?: string;
}

/** What the owner of a server transaction may want to hear; set it as `transaction.user`. */
export interface ServerTransactionUser {
  /** An INVITE was cancelled (RFC 3261 9.2). The CANCEL has its 200; the INVITE still needs its 487. */
  onCancel?(cancel: SipRequest): void;
  /** No ACK came for a final response (timer H), or the response could not be sent. */
  onUndelivered?(reason: 'no-ack' | 'transport-error'): void;
}

/** RFC 3261 17.2: one request received here, absorbing its retransmissions. */
export interface ServerTransaction {
  readonly method: string;
  /** The flow the request came on. */
  readonly source: Flow;
  /** The tag this server puts into To of its own answers; one a transaction. */
  readonly localTag: string;
  /** True once a final response was sent. */
  readonly finished: boolean;
  /** True once any response was sent, provisional ones included. */
  readonly answered: boolean;
  /** True once a CANCEL came for this INVITE, also when no `user` heard it. */
  readonly cancelled: boolean;
  user: ServerTransactionUser | undefined;
  /** Sends 100 Trying to an INVITE, once; nothing for other methods (RFC 4320 4.1). */
  trying(): void;
  /** Answers. Returns false, sending nothing, after a final response. */
  reply(answer: Answer): boolean;
  /**
   * Answers somebody who has proven nothing, and forgets the request at once (RFC 3261 8.2.7): one message, unretransmitted, to
   * where the request came from, over UDP at most twice as large as it. A repeated request comes as a new one and gets the
   * same To tag; the ACK belongs to no transaction. False, sending nothing, after a final response.
   */
  refuse(answer: Answer): boolean;
  /** Sends a ready response, e.g. a forwarded one. False when the state forbids it; a further 2xx passes (RFC 6026). */
  send(response: OutgoingResponse): boolean;
  /** Ends it without an answer: a non-INVITE request that timed out downstream (RFC 4320 4.2). */
  discard(): void;
}

/** What the owner of a client transaction hears. Exactly one of a final response, onTimeout, onTransportError ends it. */
export interface ClientTransactionUser {
  /** Every provisional and final response, and each further 2xx to an INVITE (RFC 6026 7.2). */
  onResponse(response: SipResponse, transaction: ClientTransaction): void;
  /** Timer B or F: treat as 408 (RFC 3261 8.1.3.1). */
  onTimeout(transaction: ClientTransaction): void;
  /** Treat as 503 (RFC 3261 8.1.3.1). Without a transaction when no way to the next hop was found. */
  onTransportError(error: Error, transaction: ClientTransaction | undefined): void;
}

/** RFC 3261 17.1: one request sent from here. */
export interface ClientTransaction {
  readonly method: string;
  readonly branch: string;
  readonly flow: Flow;
  readonly finished: boolean;
  /** Sends CANCEL for an INVITE, now or when the first provisional comes (RFC 3261 9.1), with this Reason. Idempotent. */
  cancel(reason?: string): void;
}
