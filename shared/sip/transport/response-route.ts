import type { SipRequest } from '../message/message.ts';
import type { Flow } from './flow.ts';
import type { Transport } from './transport.ts';

/**
 * Where the response to a request goes (RFC 3261 18.2.2, RFC 3581 4). A stream's response takes the request's connection or
 * none: one opened to sent-by's port would let a stranger have any port of its address tried. Over UDP it goes to the source
 * address, with its own port when `rport` was asked for, else with the port of sent-by. G4: a Via `maddr` is not followed, it
 * may be anybody's.
 */
export function responseFlow(request: SipRequest, source: Flow, transports: readonly Transport[]): Flow {
  const via = request.topVia;
  if (via === undefined || source.reliable) return source;
  const own = transports.find((each) => each.listener === source.listener);
  const port = via.port ?? 5060;
  if (via.rport !== undefined || port === source.remotePort) return source;
  return own?.flowTo(source.remoteAddress, port) ?? source;
}
