import { StreamTransport } from './stream.ts';
import type { Transport, TransportContext } from './transport.ts';
import { UdpTransport } from './udp.ts';
import { WebSocketTransport } from './websocket.ts';

export function createTransport(context: TransportContext): Transport {
  switch (context.options.transport) {
    case 'udp':
      return new UdpTransport(context);
    case 'tcp':
    case 'tls':
      return new StreamTransport(context);
    case 'ws':
    case 'wss':
      return new WebSocketTransport(context);
  }
}
