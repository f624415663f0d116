import type { SipRequest } from '../../../shared/sip/message/message.ts';
import { StatefulProxy } from '../../../shared/sip/proxy/stateful-proxy.ts';
import type { Forwarding, ForwardOptions, ProxyOptions, Target } from '../../../shared/sip/proxy/types.ts';
import { type SipFault, SipServer, type SipServerOptions } from '../../../shared/sip/server.ts';
import type { ServerTransaction } from '../../../shared/sip/transaction/user.ts';
import { TEST_CERTIFICATE } from './certificate.ts';

/** A proxy whose location service is `options`; dialogs follow their Route set. */
export class ProxyUnderTest {
  readonly server: SipServer;
  readonly proxy: StatefulProxy;
  readonly outcomes: string[] = [];
  readonly faults: SipFault[] = [];
  readonly transactions: ServerTransaction[] = [];
  /** Whether a sender's own Route may lead to another server. */
  followsPreloaded = true;
  forwarding: Forwarding<Target> | undefined;
  options: (request: SipRequest) => ForwardOptions<Target> = () => ({ targets: [] });

  constructor(
    transports: readonly ('udp' | 'tcp' | 'ws' | 'tls')[],
    more: Partial<SipServerOptions> = {},
    proxyOptions: Partial<ProxyOptions> = {},
  ) {
    this.server = new SipServer({
      listeners: transports.map((transport) => ({
        transport,
        host: '127.0.0.1',
        port: 0,
        certificate: TEST_CERTIFICATE,
      })),
      onRequest: (request, transaction) => this.#route(request, transaction),
      onAck: (ack, source) => this.proxy.forwardAck(ack, source),
      onFault: (fault) => this.faults.push(fault),
      ...more,
    });
    this.proxy = new StatefulProxy({
      server: this.server,
      isOwn: (host) => host === 'example.com',
      ...proxyOptions,
    });
  }

  /** The proxy's own address over that transport, as a URI. */
  uri(transport: 'udp' | 'tcp' | 'ws' = 'udp'): string {
    const listener = this.server.listeners.find((each) => each.transport === transport);
    if (listener === undefined) throw new Error(`no ${transport} listener`);
    return listener.routeUri;
  }

  port(transport: 'udp' | 'tcp' | 'ws' | 'tls'): number {
    return this.server.listeners.find((each) => each.transport === transport)?.port ?? 0;
  }

  #route(request: SipRequest, transaction: ServerTransaction): void {
    this.transactions.push(transaction);
    const refusal = this.proxy.check(request);
    if (refusal !== undefined) {
      transaction.reply(refusal);
      return;
    }
    const routing = this.proxy.routing(request);
    if (routing.kind === 'preloaded' && !this.followsPreloaded) {
      transaction.reply({ status: 403 });
      return;
    }
    const verdict = this.proxy.inDialog(request, transaction.source);
    if (verdict !== undefined && verdict.kind !== 'pass') {
      transaction.reply(verdict.kind === 'prove' ? { status: 407 } : verdict.answer);
      return;
    }
    const target = { uri: routing.uri, flow: verdict?.flow };
    const options: ForwardOptions<Target> =
      routing.kind === 'none' ? this.options(request) : { targets: [target] };
    this.forwarding = this.proxy.forward(request, transaction, {
      recordRoute: request.method === 'INVITE' && routing.kind === 'none',
      ...options,
      onOutcome: (outcome) => {
        this.outcomes.push('status' in outcome ? `${outcome.kind} ${outcome.status}` : outcome.kind);
        options.onOutcome?.(outcome);
      },
    });
  }
}
