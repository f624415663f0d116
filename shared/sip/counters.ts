import type { TransportName } from './transport/listener.ts';

/** Running totals since start, for the owner to export. */
export interface SipCounters {
  readonly messagesIn: Record<TransportName, number>;
  readonly messagesOut: Record<TransportName, number>;
  /** Bytes that are no SIP message, or one too broken to answer. */
  dropped: number;
  /** Broken requests answered with 4xx or 5xx before they reached the owner. */
  refused: number;
  /** Answers to strangers that lost a header, or went out not at all, because they would have been over twice the request. */
  answersShortened: number;
  answersWithheld: number;
  retransmissionsAbsorbed: number;
  retransmissionsSent: number;
  serverTransactions: number;
  clientTransactions: number;
  /** Client transactions ended by timer B, F or C. */
  timeouts: number;
  transportErrors: number;
}

export function newCounters(): SipCounters {
  return {
    messagesIn: { udp: 0, tcp: 0, tls: 0, ws: 0, wss: 0 },
    messagesOut: { udp: 0, tcp: 0, tls: 0, ws: 0, wss: 0 },
    dropped: 0,
    refused: 0,
    answersShortened: 0,
    answersWithheld: 0,
    retransmissionsAbsorbed: 0,
    retransmissionsSent: 0,
    serverTransactions: 0,
    clientTransactions: 0,
    timeouts: 0,
    transportErrors: 0,
  };
}
