import type { SipCounters } from '../counters.ts';
import { guarded } from '../guarded.ts';
import type { Limits } from '../message/limits.ts';
import { type SipMessage, SipRequest, SipResponse } from '../message/message.ts';
import { stampVia } from '../message/stamp-via.ts';
import { validateRequest, validateResponse } from '../message/validate.ts';
import type { Flow } from '../transport/flow.ts';
import type { Receiver } from '../transport/transport.ts';
import type { ClientMachine, SentRequest } from './client-transaction.ts';
import type { TransactionContext } from './context.ts';
import { InviteClientTransaction } from './invite-client.ts';
import { InviteServerTransaction } from './invite-server.ts';
import { cancelledKey, clientKey, mergeKey, serverKey } from './matching.ts';
import { NonInviteClientTransaction } from './non-invite-client.ts';
import { NonInviteServerTransaction } from './non-invite-server.ts';
import { PendingInvites } from './pending-invites.ts';
import { type Received, StatelessAnswers } from './stateless-answers.ts';
import type { TimerDurations } from './timer-durations.ts';
import type { TimerWheel } from './timer-wheel.ts';
import type { Answer, ClientTransaction, ServerTransaction } from './user.ts';

export interface LayerOptions {
  readonly wheel: TimerWheel;
  readonly durations: TimerDurations;
  readonly counters: SipCounters;
  readonly limits: Limits;
  readonly mergedRequests: readonly string[];
  readonly responseFlow: (request: SipRequest, source: Flow) => Flow;
  readonly onRequest: (request: SipRequest, transaction: ServerTransaction) => void;
  /** The answer to a new request, outside any dialog, that has waited too long already; nothing is kept of it. */
  readonly onLate: (request: SipRequest, source: Flow, waitedMs: number) => Answer | undefined;
  readonly onAck: (ack: SipRequest, source: Flow) => void;
  readonly onStrayResponse: (response: SipResponse, source: Flow) => void;
  readonly onFault: (error: unknown) => void;
}

type ServerEntry = InviteServerTransaction | NonInviteServerTransaction;
type ClientEntry = Pick<ClientMachine<string, string, string>, 'method' | 'receive'>;

/** Keeps the transactions, gives every entering message to its own, and what belongs to none to the owner. Never throws. */
export class TransactionLayer implements Receiver, TransactionContext {
  readonly wheel: TimerWheel;
  readonly durations: TimerDurations;
  readonly counters: SipCounters;
  readonly pendingInvites = new PendingInvites();
  readonly #options: LayerOptions;
  readonly #stateless: StatelessAnswers;
  readonly #servers = new Map<string, ServerEntry>();
  readonly #clients = new Map<string, ClientEntry>();
  /** Of the methods watched for merging: what identifies a request over all paths, and its transaction here. */
  readonly #merging = new Map<string, string>();
  readonly #mergeKeys = new Map<string, string>();
  #pending = 0;

  constructor(options: LayerOptions) {
    this.#options = options;
    this.#stateless = new StatelessAnswers(options);
    this.wheel = options.wheel;
    this.durations = options.durations;
    this.counters = options.counters;
  }

  /** Transactions alive; `pending` are server transactions without a final response. */
  get alive(): { readonly server: number; readonly client: number; readonly pending: number } {
    return { server: this.#servers.size, client: this.#clients.size, pending: this.#pending };
  }

  onMessage(message: SipMessage, flow: Flow, waitedMs = 0): boolean {
    try {
      if (message instanceof SipRequest) return this.#onRequest(message, flow, waitedMs);
      if (message instanceof SipResponse) return this.#onResponse(message, flow);
    } catch (error) {
      this.faulted(error);
    }
    return false;
  }

  /** Sends a request in a new client transaction. */
  start(sent: SentRequest): ClientTransaction {
    const transaction =
      sent.method === 'INVITE'
        ? new InviteClientTransaction(this, sent)
        : new NonInviteClientTransaction(this, sent);
    this.counters.clientTransactions++;
    this.#clients.set(transaction.key, transaction);
    transaction.start();
    return transaction;
  }

  startCancel(text: string, branch: string, flow: Flow): void {
    this.start({ method: 'CANCEL', branch, text, flow, user: undefined });
  }

  responseFlow(request: SipRequest, source: Flow): Flow {
    return this.#options.responseFlow(request, source);
  }

  passAck(ack: SipRequest, source: Flow): void {
    guarded((error) => this.faulted(error), this.#options.onAck)(ack, source);
  }

  answerStateless(received: Received, answer: Answer): void {
    this.#stateless.send(received, answer);
  }

  settled({ method, source }: Pick<ServerTransaction, 'method' | 'source'>): void {
    this.#pending--;
    if (method === 'INVITE') this.pendingInvites.settled(source.remoteAddress);
  }

  serverEnded(key: string): void {
    this.#servers.delete(key);
    const merge = this.#mergeKeys.get(key);
    if (merge === undefined) return;
    this.#mergeKeys.delete(key);
    this.#merging.delete(merge);
  }

  clientEnded(key: string): void {
    this.#clients.delete(key);
  }

  faulted(error: unknown): void {
    this.#options.onFault(error);
  }

  #onRequest(entering: SipRequest, flow: Flow, waitedMs: number): boolean {
    if (this.#isRefusedLate(entering, flow, waitedMs)) return true;
    const validity = validateRequest(entering, this.#options.limits);
    const via = entering.topVia;
    const request =
      via === undefined ? entering : stampVia(entering, via, flow.remoteAddress, flow.remotePort);
    if (validity.kind === 'drop') {
      this.counters.dropped++;
      return false;
    }
    const received = { request, source: flow, bytes: entering.text.length };
    if (validity.kind === 'respond') {
      this.counters.refused++;
      this.answerStateless(received, validity);
      return false;
    }
    if (request.method === 'ACK') this.#onAck(request, flow);
    else this.#serve(received);
    return true;
  }

  /** Before all else, since there are many of them then: what is refused must cost next to nothing. */
  #isRefusedLate(entering: SipRequest, flow: Flow, waitedMs: number): boolean {
    const { method, topVia: via } = entering;
    if ((method !== 'INVITE' && method !== 'REGISTER') || via === undefined) return false;
    if (entering.to === undefined || entering.to.tag !== undefined || !entering.callId) return false;
    const answer = this.#options.onLate(entering, flow, waitedMs);
    if (answer === undefined || this.#servers.has(serverKey(entering))) return false;
    const request = stampVia(entering, via, flow.remoteAddress, flow.remotePort);
    this.counters.refused++;
    this.answerStateless({ request, source: flow, bytes: entering.text.length }, answer);
    return true;
  }

  #onAck(ack: SipRequest, flow: Flow): void {
    const transaction = this.#servers.get(serverKey(ack));
    if (transaction instanceof InviteServerTransaction) transaction.receiveAck(ack, flow);
    else this.passAck(ack, flow);
  }

  #serve(received: Received): void {
    const key = serverKey(received.request);
    const known = this.#servers.get(key);
    if (known instanceof InviteServerTransaction) known.receiveInvite();
    else if (known !== undefined) known.receiveRetransmission();
    else this.#begin(received, key);
  }

  #begin(received: Received, key: string): void {
    const { request } = received;
    const transaction =
      request.method === 'INVITE'
        ? new InviteServerTransaction(this, key, received)
        : new NonInviteServerTransaction(this, key, received);
    this.counters.serverTransactions++;
    this.#pending++;
    if (request.method === 'INVITE') this.pendingInvites.begun(received.source.remoteAddress);
    this.#servers.set(key, transaction);
    if (request.method === 'CANCEL') this.#cancel(request, transaction);
    else if (this.#isMerged(request, key)) transaction.refuse({ status: 482 });
    else this.#handOver(request, transaction);
  }

  #handOver(request: SipRequest, transaction: ServerEntry): void {
    guarded((error) => {
      this.faulted(error);
      if (transaction.answered) transaction.reply({ status: 500 });
      else transaction.refuse({ status: 500 });
    }, this.#options.onRequest)(request, transaction);
  }

  /** RFC 3261 9.2, 16.10: hop by hop, answered here; this server keeps no stateless INVITE that a stray one could belong to. */
  #cancel(cancel: SipRequest, transaction: ServerEntry): void {
    const invite = this.#servers.get(cancelledKey(cancel));
    if (!(invite instanceof InviteServerTransaction)) {
      transaction.refuse({ status: 481 });
      return;
    }
    transaction.reply({ status: 200 });
    invite.receiveCancel(cancel);
  }

  /** RFC 3261 8.2.2.2: the same request, outside a dialog, under another branch. */
  #isMerged(request: SipRequest, key: string): boolean {
    if (!this.#options.mergedRequests.includes(request.method) || request.to?.tag !== undefined) return false;
    const merge = mergeKey(request);
    if (this.#merging.has(merge)) return true;
    this.#merging.set(merge, key);
    this.#mergeKeys.set(key, merge);
    return false;
  }

  #onResponse(response: SipResponse, flow: Flow): boolean {
    if (validateResponse(response).kind !== 'valid') {
      this.counters.dropped++;
      return false;
    }
    const method = response.cseq?.method ?? '';
    const transaction = this.#clients.get(clientKey(response.topVia?.branch ?? '', method));
    if (transaction?.method === method) transaction.receive(response);
    else this.#options.onStrayResponse(response, flow);
    return true;
  }
}
