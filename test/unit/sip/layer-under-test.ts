import { newCounters } from '../../../shared/sip/counters.ts';
import { DEFAULT_LIMITS } from '../../../shared/sip/message/limits.ts';
import type { SipRequest, SipResponse } from '../../../shared/sip/message/message.ts';
import { parseMessage } from '../../../shared/sip/message/parse.ts';
import { TransactionLayer } from '../../../shared/sip/transaction/layer.ts';
import { DEFAULT_TIMERS } from '../../../shared/sip/transaction/timer-durations.ts';
import { TimerWheel } from '../../../shared/sip/transaction/timer-wheel.ts';
import type {
  Answer,
  ClientTransaction,
  ClientTransactionUser,
  ServerTransaction,
} from '../../../shared/sip/transaction/user.ts';
import { FakeFlow } from './fake-flow.ts';

/** A transaction layer with a clock of its own and everything its owner heard. */
export class LayerUnderTest implements ClientTransactionUser {
  readonly wheel = new TimerWheel();
  readonly counters = newCounters();
  readonly flow: FakeFlow;
  readonly requests: { readonly request: SipRequest; readonly transaction: ServerTransaction }[] = [];
  readonly acks: SipRequest[] = [];
  readonly strays: SipResponse[] = [];
  readonly faults: unknown[] = [];
  readonly heard: string[] = [];
  readonly layer: TransactionLayer;
  onRequest: (request: SipRequest, transaction: ServerTransaction) => void = () => {};
  onLate: (waitedMs: number) => Answer | undefined = () => undefined;

  constructor(transport: 'udp' | 'tcp' = 'udp', mergedRequests: readonly string[] = []) {
    this.flow = new FakeFlow(transport);
    this.layer = new TransactionLayer({
      wheel: this.wheel,
      durations: DEFAULT_TIMERS,
      counters: this.counters,
      limits: DEFAULT_LIMITS,
      mergedRequests,
      responseFlow: (_request, source) => source,
      onRequest: (request, transaction) => {
        this.requests.push({ request, transaction });
        return this.onRequest(request, transaction);
      },
      onLate: (_request, _source, waitedMs) => this.onLate(waitedMs),
      onAck: (ack) => this.acks.push(ack),
      onStrayResponse: (response) => this.strays.push(response),
      onFault: (error) => this.faults.push(error),
    });
  }

  /** The server transaction of the newest request. */
  get transaction(): ServerTransaction {
    const last = this.requests.at(-1);
    if (last === undefined) throw new Error('no request came');
    return last.transaction;
  }

  receive(message: string, waitedMs = 0): boolean {
    const parsed = parseMessage(message);
    return parsed !== undefined && this.layer.onMessage(parsed, this.flow, waitedMs);
  }

  /** Starts a client transaction whose branch is `z9hG4bKout`. */
  send(message: string): ClientTransaction {
    const method = message.slice(0, message.indexOf(' '));
    return this.layer.start({ method, branch: 'z9hG4bKout', text: message, flow: this.flow, user: this });
  }

  onResponse(response: SipResponse): void {
    this.heard.push(String(response.status));
  }

  onTimeout(): void {
    this.heard.push('timeout');
  }

  onTransportError(): void {
    this.heard.push('transport-error');
  }
}
