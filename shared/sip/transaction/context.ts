import type { SipCounters } from '../counters.ts';
import type { SipRequest } from '../message/message.ts';
import type { Flow } from '../transport/flow.ts';
import type { Received } from './stateless-answers.ts';
import type { TimerDurations } from './timer-durations.ts';
import type { TimerWheel } from './timer-wheel.ts';
import type { Answer } from './user.ts';

/** What every transaction needs of the layer that keeps it. */
export interface TransactionContext {
  readonly wheel: TimerWheel;
  readonly durations: TimerDurations;
  readonly counters: SipCounters;
  /** Where responses to this request go (RFC 3261 18.2.2). */
  responseFlow(request: SipRequest, source: Flow): Flow;
  /** Answers once and without state (RFC 3261 8.2.7). */
  answerStateless(received: Received, answer: Answer): void;
  /** An ACK for a 2xx that came with the INVITE's own branch. */
  passAck(ack: SipRequest, source: Flow): void;
  /** A final response was sent: the transaction no longer counts as pending. */
  settled(transaction: { readonly method: string; readonly source: Flow }): void;
  serverEnded(key: string): void;
  /** Something the owner was told threw. */
  faulted(error: unknown): void;
  clientEnded(key: string): void;
  /** Sends the CANCEL of an INVITE in a transaction of its own. */
  startCancel(text: string, branch: string, flow: Flow): void;
}
