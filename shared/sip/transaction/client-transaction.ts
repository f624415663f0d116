import type { SipResponse } from '../message/message.ts';
import type { Flow, SendErrorSink } from '../transport/flow.ts';
import type { TransactionContext } from './context.ts';
import { Machine, type Table } from './machine.ts';
import { clientKey } from './matching.ts';
import type { ClientTransaction, ClientTransactionUser } from './user.ts';

export type ReceiveEvent = '1XX' | '2XX' | 'FAILURE';

/** What both client transactions share. */
export abstract class ClientMachine<S extends string, E extends string, A extends string>
  extends Machine<S, E | ReceiveEvent | 'transport-error', A>
  implements ClientTransaction, SendErrorSink
{
  readonly key: string;
  readonly method: string;
  readonly branch: string;
  readonly flow: Flow;
  protected readonly context: TransactionContext;
  protected response: SipResponse | undefined;
  /** The request, for retransmissions, ACK and CANCEL; gone once they cannot come any more. */
  protected text: string;
  #user: ClientTransactionUser | undefined;
  #error: Error | undefined;

  constructor(
    table: Table<S, E | ReceiveEvent | 'transport-error', A>,
    initial: S,
    context: TransactionContext,
    sent: SentRequest,
  ) {
    super(table, initial, context.wheel);
    this.context = context;
    this.method = sent.method;
    this.branch = sent.branch;
    this.flow = sent.flow;
    this.key = clientKey(sent.branch, sent.method);
    this.text = sent.text;
    this.#user = sent.user;
  }

  abstract get finished(): boolean;
  abstract start(): void;
  abstract cancel(reason?: string): void;

  receive(response: SipResponse): void {
    const event = response.status < 200 ? '1XX' : response.status < 300 ? '2XX' : 'FAILURE';
    this.response = response;
    if (!this.handle(event)) this.context.counters.retransmissionsAbsorbed++;
    this.response = undefined;
  }

  onSendError(error: Error): void {
    this.#error = error;
    this.handle('transport-error');
  }

  protected transmit(text: string): void {
    this.flow.send(text, this);
  }

  protected retransmit(text: string): void {
    this.context.counters.retransmissionsSent++;
    this.transmit(text);
  }

  protected pass(): void {
    try {
      if (this.response !== undefined) this.#user?.onResponse(this.response, this);
    } catch (error) {
      this.context.faulted(error);
    }
  }

  protected timeout(): void {
    this.context.counters.timeouts++;
    const user = this.#user;
    this.#user = undefined;
    try {
      user?.onTimeout(this);
    } catch (error) {
      this.context.faulted(error);
    }
  }

  protected fail(): void {
    const user = this.#user;
    this.#user = undefined;
    try {
      user?.onTransportError(this.#error ?? new Error('transport error'), this);
    } catch (error) {
      this.context.faulted(error);
    }
  }

  /** The owner hears nothing more. */
  protected forgetUser(): void {
    this.#user = undefined;
  }

  protected remove(): void {
    this.stopTimers();
    this.text = '';
    this.context.clientEnded(this.key);
  }
}

/** A request about to be sent: its text carries this branch in its top Via. */
export interface SentRequest {
  readonly method: string;
  readonly branch: string;
  readonly text: string;
  readonly flow: Flow;
  readonly user: ClientTransactionUser | undefined;
}
