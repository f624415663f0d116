import type { SipRequest } from '../message/message.ts';
import type { Flow } from '../transport/flow.ts';
import type { TransactionContext } from './context.ts';
import { ServerMachine } from './server-transaction.ts';
import type { Received } from './stateless-answers.ts';
import {
  INVITE_SERVER,
  type InviteServerAction,
  type InviteServerEvent,
  type InviteServerState,
} from './tables.ts';

/** RFC 3261 17.2.1 with RFC 6026. */
export class InviteServerTransaction extends ServerMachine<
  InviteServerState,
  InviteServerEvent,
  InviteServerAction
> {
  #intervalG = 0;
  #ack: { readonly request: SipRequest; readonly source: Flow } | undefined;

  constructor(context: TransactionContext, key: string, received: Received) {
    super(INVITE_SERVER, 'proceeding', context, key, received);
  }

  trying(): void {
    const response = this.answered ? undefined : this.buildTrying();
    if (response !== undefined) this.send(response);
  }

  receiveInvite(): void {
    this.handle('INVITE');
  }

  receiveAck(request: SipRequest, source: Flow): void {
    this.#ack = { request, source };
    this.handle('ACK');
    this.#ack = undefined;
  }

  /** The INVITE was cancelled; its owner answers it. */
  receiveCancel(cancel: SipRequest): void {
    if (!this.finished) this.noteCancel(cancel);
  }

  protected act(action: InviteServerAction): void {
    const { t1, t2, t4 } = this.context.durations;
    const unreliable = !this.source.reliable;
    switch (action) {
      case 'send':
        this.sendLast();
        break;
      case 'resend':
        this.resendLast();
        break;
      case 'resend-G':
        this.#intervalG = Math.min(this.#intervalG * 2, t2);
        this.context.counters.retransmissionsSent++;
        this.sendLast();
        this.arm('G', this.#intervalG);
        break;
      case 'absorb':
        this.context.counters.retransmissionsAbsorbed++;
        break;
      case 'pass-ack':
        if (this.#ack !== undefined) this.context.passAck(this.#ack.request, this.#ack.source);
        break;
      case 'undelivered':
        this.undelivered('transport-error');
        break;
      case 'timeout':
        this.undelivered('no-ack');
        break;
      case 'arm-GH':
        this.#intervalG = t1;
        if (unreliable) this.arm('G', t1);
        this.arm('H', 64 * t1);
        break;
      case 'arm-I':
        if (unreliable) this.arm('I', t4);
        else this.handle('I');
        break;
      case 'arm-L':
        this.arm('L', 64 * t1);
        break;
      case 'settle':
        this.forgetResponse();
        this.user = undefined;
        break;
      case 'remove':
        this.remove();
        break;
    }
  }
}
