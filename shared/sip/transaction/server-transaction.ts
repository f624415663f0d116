import type { SipRequest } from '../message/message.ts';
import { buildResponse, type OutgoingResponse } from '../message/response.ts';
import type { Flow, SendErrorSink } from '../transport/flow.ts';
import type { TransactionContext } from './context.ts';
import { newTag } from './identifiers.ts';
import { Machine, type Table } from './machine.ts';
import type { Received } from './stateless-answers.ts';
import type { Answer, ServerTransaction, ServerTransactionUser } from './user.ts';

export type SendEvent = 'send-1xx' | 'send-2xx' | 'send-failure';

/** What both server transactions share: answering, resending, and forgetting what is not needed any more. */
export abstract class ServerMachine<S extends string, E extends string, A extends string>
  extends Machine<S, E | SendEvent | 'transport-error', A>
  implements ServerTransaction, SendErrorSink
{
  readonly key: string;
  readonly method: string;
  readonly source: Flow;
  user: ServerTransactionUser | undefined;
  protected readonly context: TransactionContext;
  #responseFlow: Flow;
  /** Kept until a final response only: 32 s of retained transactions are many. */
  #received: Received | undefined;
  #lastResponse: string | undefined;
  #localTag: string | undefined;
  #finished = false;
  #cancelled = false;
  #removed = false;
  #refused = false;

  constructor(
    table: Table<S, E | SendEvent | 'transport-error', A>,
    initial: S,
    context: TransactionContext,
    key: string,
    received: Received,
  ) {
    super(table, initial, context.wheel);
    this.context = context;
    this.key = key;
    this.method = received.request.method;
    this.source = received.source;
    this.#received = received;
    this.#responseFlow = context.responseFlow(received.request, received.source);
  }

  get finished(): boolean {
    return this.#finished;
  }

  get answered(): boolean {
    return this.#lastResponse !== undefined || this.#finished;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  get localTag(): string {
    this.#localTag ??= newTag();
    return this.#localTag;
  }

  abstract trying(): void;

  reply(answer: Answer): boolean {
    if (this.#received === undefined) return false;
    return this.send(buildResponse(this.#received.request, { ...answer, toTag: this.localTag }));
  }

  refuse(answer: Answer): boolean {
    if (this.#received === undefined) return false;
    this.#refused = true;
    this.context.answerStateless(this.#received, answer);
    this.remove();
    return true;
  }

  send(response: OutgoingResponse): boolean {
    const event = response.status < 200 ? 'send-1xx' : response.status < 300 ? 'send-2xx' : 'send-failure';
    if (this.#refused || (this.#finished && event !== 'send-2xx')) return false;
    this.#findOpenFlow();
    const previous = this.#lastResponse;
    this.#lastResponse = response.text;
    if (response.status >= 200) this.#finish();
    if (!this.#removed && this.handle(event)) return true;
    this.#lastResponse = previous;
    return this.#sendLate2xx(response);
  }

  /** RFC 3261 16.7: a 2xx goes upstream although another final response went before it, e.g. the 487 of a CANCEL it crossed. */
  #sendLate2xx({ status, text }: OutgoingResponse): boolean {
    if (this.method !== 'INVITE' || status < 200 || status > 299) return false;
    this.#responseFlow.send(text);
    return true;
  }

  discard(): void {
    if (!this.#finished) this.remove();
  }

  onSendError(_error: Error): void {
    this.handle('transport-error');
  }

  protected undelivered(reason: 'no-ack' | 'transport-error'): void {
    try {
      this.user?.onUndelivered?.(reason);
    } catch (error) {
      this.context.faulted(error);
    }
  }

  protected noteCancel(cancel: SipRequest): void {
    this.#cancelled = true;
    try {
      this.user?.onCancel?.(cancel);
    } catch (error) {
      this.context.faulted(error);
    }
  }

  protected sendLast(): void {
    if (this.#lastResponse !== undefined) this.#responseFlow.send(this.#lastResponse, this);
  }

  protected resendLast(): void {
    this.context.counters.retransmissionsAbsorbed++;
    if (this.#lastResponse === undefined) return;
    this.context.counters.retransmissionsSent++;
    this.sendLast();
  }

  protected buildTrying(): OutgoingResponse | undefined {
    return this.#received && buildResponse(this.#received.request, { status: 100 });
  }

  /** The last response is not sent again from here on. */
  protected forgetResponse(): void {
    this.#lastResponse = undefined;
  }

  protected remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.stopTimers();
    this.user = undefined;
    this.forgetResponse();
    if (!this.#finished) this.#finish();
    this.context.serverEnded(this.key);
  }

  /** RFC 3261 18.2.2: when the request's connection is gone, the response opens one to where Via says. */
  #findOpenFlow(): void {
    if (this.#responseFlow.open || this.#received === undefined) return;
    this.#responseFlow = this.context.responseFlow(this.#received.request, this.source);
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#received = undefined;
    this.context.settled(this);
  }
}
