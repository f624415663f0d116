import { here, type Mirror, there } from './mirror.ts';
import type { Receiver } from './transport.ts';

/** The same receiver behind the mirror. */
export function mirrored(receiver: Receiver, mirror: Mirror): Receiver {
  return {
    onMessage: (message, flow, waitedMs) => {
      mirror.saw({ transport: flow.transport, from: there(flow), to: here(flow), text: message.text });
      return receiver.onMessage(message, flow, waitedMs);
    },
  };
}
