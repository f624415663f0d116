import type { SipRequest } from '../message/message.ts';
import type { Answer, ServerTransaction } from '../transaction/user.ts';
import type { Flow } from '../transport/flow.ts';
import type { Forwarding, ForwardOptions, ProxyOptions, Routing, Target } from './types.ts';

/** The stateful proxy of RFC 3261 16 for one server. */
export declare class StatefulProxy {
  constructor(options: ProxyOptions);
  /** RFC 3261 16.3: 483, 482 (own branch or `isLooped`), 420; undefined when the request may go on. */
  check(request: SipRequest): Answer | undefined;
  /** RFC 3261 16.4: which hop the request's Route set asks for. */
  routing(request: SipRequest): Routing;
  /** RFC 3261 16.5 to 16.11: forwards to the targets and sees every response home. */
  forward<T extends Target>(
    request: SipRequest,
    transaction: ServerTransaction,
    options: ForwardOptions<T>,
  ): Forwarding;
  /** Forwards the ACK of a 2xx along its Route set without state (RFC 3261 16.11). */
  forwardAck(ack: SipRequest, source: Flow): void;
}
