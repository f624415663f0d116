import type { Flow, SendErrorSink } from '../../../shared/sip/transport/flow.ts';
import { listenerAt } from '../../../shared/sip/transport/listener.ts';

/** A flow that keeps what is sent on it. */
export class FakeFlow implements Flow {
  readonly transport: 'udp' | 'tcp';
  readonly reliable: boolean;
  readonly listener;
  readonly remoteAddress = '192.0.2.1';
  readonly remotePort = 5060;
  readonly token: string = 'c-fake';
  open = true;
  readonly sent: string[] = [];
  lastSink: SendErrorSink | undefined;

  constructor(transport: 'udp' | 'tcp' = 'udp') {
    this.transport = transport;
    this.reliable = transport === 'tcp';
    this.listener = listenerAt({ transport, host: '192.0.2.9', port: 5060 }, 5060);
  }

  send(message: string, sink?: SendErrorSink): void {
    this.sent.push(message);
    this.lastSink = sink;
  }

  /** Status codes or methods of what was sent, in order. */
  get startLines(): readonly string[] {
    return this.sent.map((each) => {
      const [first = '', second = ''] = each.split(' ', 2);
      return first === 'SIP/2.0' ? second : first;
    });
  }
}
