import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { HeaderLine } from '../../shared/sip/message/response.ts';
import type { ServerTransaction, ServerTransactionUser } from '../../shared/sip/transaction/user.ts';
import { waitFor } from './wait-for.ts';

/** An offer or answer of one audio stream. */
export const AUDIO = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 40000 RTP/AVP 0',
  '',
].join('\r\n');

/** A call that rings at a scripted phone. A CANCEL is answered 487 by itself. */
export class IncomingCall implements ServerTransactionUser {
  readonly request: SipRequest;
  readonly #transaction: ServerTransaction;
  readonly #contact: string;
  cancelled = false;
  /** The Reason of its CANCEL (RFC 3326). */
  cancelReason: string | undefined;

  constructor(request: SipRequest, transaction: ServerTransaction, contact: string) {
    this.request = request;
    this.#transaction = transaction;
    this.#contact = contact;
    transaction.user = this;
  }

  ring(): void {
    this.#reply(180);
  }

  answer(): void {
    this.#reply(200);
  }

  reject(status: number, reason?: string, headers: readonly HeaderLine[] = []): void {
    this.#transaction.reply({ status, headers, ...(reason !== undefined && { reason }) });
  }

  onCancel(cancel: SipRequest): void {
    this.cancelReason = cancel.header('reason');
    this.cancelled = true;
    this.#transaction.reply({ status: 487 });
  }

  untilCancelled(): Promise<boolean> {
    return waitFor(() => this.cancelled, { what: 'a CANCEL at the called phone' });
  }

  #reply(status: number): void {
    const recordRoutes = this.request
      .headerLines('record-route')
      .map((value) => ['Record-Route', value] as const);
    const contact = ['Contact', `<${this.#contact}>`] as const;
    const body = status === 200 ? AUDIO : '';
    const type = body === '' ? [] : [['Content-Type', 'application/sdp'] as const];
    this.#transaction.reply({ status, headers: [...recordRoutes, contact, ...type], body });
  }
}
