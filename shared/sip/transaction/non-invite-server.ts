import type { TransactionContext } from './context.ts';
import { ServerMachine } from './server-transaction.ts';
import type { Received } from './stateless-answers.ts';
import {
  NON_INVITE_SERVER,
  type NonInviteServerAction,
  type NonInviteServerEvent,
  type NonInviteServerState,
} from './tables.ts';

/** RFC 3261 17.2.2. */
export class NonInviteServerTransaction extends ServerMachine<
  NonInviteServerState,
  NonInviteServerEvent,
  NonInviteServerAction
> {
  constructor(context: TransactionContext, key: string, received: Received) {
    super(NON_INVITE_SERVER, 'trying', context, key, received);
  }

  /** RFC 4320 4.1: no 100 for a non-INVITE request. */
  trying(): void {}

  receiveRetransmission(): void {
    this.handle('REQUEST');
  }

  protected act(action: NonInviteServerAction): void {
    switch (action) {
      case 'send':
        this.sendLast();
        break;
      case 'resend':
        this.resendLast();
        break;
      case 'absorb':
        this.context.counters.retransmissionsAbsorbed++;
        break;
      case 'undelivered':
        this.undelivered('transport-error');
        break;
      case 'settle':
        this.user = undefined;
        break;
      case 'arm-J':
        if (this.source.reliable) this.handle('J');
        else this.arm('J', 64 * this.context.durations.t1);
        break;
      case 'remove':
        this.remove();
        break;
    }
  }
}
