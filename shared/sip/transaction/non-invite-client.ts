import { ClientMachine, type SentRequest } from './client-transaction.ts';
import type { TransactionContext } from './context.ts';
import {
  NON_INVITE_CLIENT,
  type NonInviteClientAction,
  type NonInviteClientEvent,
  type NonInviteClientState,
} from './tables.ts';

/** RFC 3261 17.1.2. */
export class NonInviteClientTransaction extends ClientMachine<
  NonInviteClientState,
  NonInviteClientEvent,
  NonInviteClientAction
> {
  #intervalE = 0;

  constructor(context: TransactionContext, sent: SentRequest) {
    super(NON_INVITE_CLIENT, 'trying', context, sent);
  }

  get finished(): boolean {
    return this.state !== 'trying' && this.state !== 'proceeding';
  }

  start(): void {
    const { t1 } = this.context.durations;
    this.#intervalE = t1;
    if (!this.flow.reliable) this.arm('E', t1);
    this.arm('F', 64 * t1);
    this.transmit(this.text);
  }

  /** Only an INVITE can be cancelled to any effect (RFC 3261 9.1). */
  cancel(): void {}

  protected override leaveTimers(state: NonInviteClientState): void {
    if (state === 'proceeding') this.stopTimer('E');
    else this.stopTimers();
  }

  protected act(action: NonInviteClientAction): void {
    const { t2, t4 } = this.context.durations;
    switch (action) {
      case 'resend':
        this.retransmit(this.text);
        break;
      case 'arm-E':
        this.#intervalE = Math.min(this.#intervalE * 2, t2);
        this.arm('E', this.#intervalE);
        break;
      case 'arm-E-T2':
        if (!this.flow.reliable) this.arm('E', t2);
        break;
      case 'arm-K':
        this.text = '';
        if (this.flow.reliable) this.handle('K');
        else this.arm('K', t4);
        break;
      case 'pass':
        this.pass();
        if (this.finished) this.forgetUser();
        break;
      case 'timeout':
        this.timeout();
        break;
      case 'fail':
        this.fail();
        break;
      case 'remove':
        this.remove();
        break;
    }
  }
}
