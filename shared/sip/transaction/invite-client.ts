import { buildAck, buildCancel } from '../message/derived-requests.ts';
import { SipRequest } from '../message/message.ts';
import { parseMessage } from '../message/parse.ts';
import { ClientMachine, type SentRequest } from './client-transaction.ts';
import type { TransactionContext } from './context.ts';
import {
  INVITE_CLIENT,
  type InviteClientAction,
  type InviteClientEvent,
  type InviteClientState,
} from './tables.ts';

/** RFC 3261 17.1.1 with RFC 6026. */
export class InviteClientTransaction extends ClientMachine<
  InviteClientState,
  InviteClientEvent,
  InviteClientAction
> {
  #intervalA = 0;
  /** The owner wants a CANCEL; it waits for the first provisional response (RFC 3261 9.1). */
  #cancelWanted = false;
  #cancelSent = false;
  #cancelReason: string | undefined;
  #ack = '';

  constructor(context: TransactionContext, sent: SentRequest) {
    super(INVITE_CLIENT, 'calling', context, sent);
  }

  get finished(): boolean {
    return this.state !== 'calling' && this.state !== 'proceeding';
  }

  start(): void {
    const { t1 } = this.context.durations;
    this.#intervalA = t1;
    if (!this.flow.reliable) this.arm('A', t1);
    this.arm('B', 64 * t1);
    this.transmit(this.text);
  }

  cancel(reason?: string): void {
    this.#cancelWanted = true;
    this.#cancelReason ??= reason;
    this.handle('cancelled');
  }

  protected act(action: InviteClientAction): void {
    const { t1, d } = this.context.durations;
    switch (action) {
      case 'resend':
        this.retransmit(this.text);
        break;
      case 'arm-A':
        this.#intervalA *= 2;
        this.arm('A', this.#intervalA);
        break;
      case 'cancel':
        this.#sendCancel();
        break;
      case 'arm-D':
        if (this.flow.reliable) this.handle('D');
        else this.arm('D', d);
        break;
      case 'arm-M':
        this.text = '';
        this.arm('M', 64 * t1);
        break;
      case 'pass':
        this.pass();
        if (this.state === 'completed' || this.state === 'terminated') this.forgetUser();
        break;
      case 'ack':
        this.#sendAck();
        break;
      case 'resend-ack':
        this.retransmit(this.#ack);
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

  /** 9.1: a peer that never sends its 487 is given up 64*T1 after the CANCEL (timer B once more). */
  #sendCancel(): void {
    const invite = this.#cancelWanted && !this.#cancelSent ? parseMessage(this.text) : undefined;
    if (!(invite instanceof SipRequest)) return;
    this.#cancelSent = true;
    this.context.startCancel(buildCancel(invite, this.#cancelReason), this.branch, this.flow);
    this.arm('B', 64 * this.context.durations.t1);
  }

  #sendAck(): void {
    const invite = parseMessage(this.text);
    if (!(invite instanceof SipRequest) || this.response === undefined) return;
    this.#ack = buildAck(invite, this.response);
    this.text = '';
    this.transmit(this.#ack);
  }
}
