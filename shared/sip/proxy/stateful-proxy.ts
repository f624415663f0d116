import { MessageDraft } from '../message/draft.ts';
import type { SipRequest } from '../message/message.ts';
import { type SipServer, viaValue } from '../server.ts';
import { newBranch } from '../transaction/identifiers.ts';
import type { Answer, ServerTransaction } from '../transaction/user.ts';
import { hasLooped, loopHash } from './loop.ts';
import { RouteSigner } from './record-route.ts';
import { ResponseContext } from './response-context.ts';
import { applyRouting, nextHopOf, RouteReader } from './routing.ts';
import type { Forwarding, ForwardOptions, ProxyOptions, Routing, Target } from './types.ts';

const DEFAULT_TIMER_C_MS = 185_000;

/** The stateful proxy of RFC 3261 16 for one server. */
export class StatefulProxy {
  readonly #server: SipServer;
  readonly #options: ProxyOptions;
  readonly #signer: RouteSigner;
  readonly #routes: RouteReader;

  constructor(options: ProxyOptions) {
    this.#server = options.server;
    this.#options = options;
    this.#signer = new RouteSigner(options.server.keys);
    this.#routes = new RouteReader(options.server, this.#signer, options.aliases ?? []);
  }

  /** RFC 3261 16.3: 483, 482 (own branch or `isLooped`), 420; undefined when the request may go on. */
  check(request: SipRequest): Answer | undefined {
    if (request.maxForwards === 0) return { status: 483 };
    if (this.#isLooped(request)) return { status: 482 };
    const unsupported = this.#unsupported(request);
    return unsupported === '' ? undefined : { status: 420, headers: [['Unsupported', unsupported]] };
  }

  /** RFC 3261 16.4: which hop the request's Route set asks for. */
  routing(request: SipRequest): Routing {
    return this.#routes.routing(request);
  }

  /** RFC 3261 16.5 to 16.11: forwards to the targets and sees every response home. Sends 100 to an INVITE unless done. */
  forward<T extends Target>(
    request: SipRequest,
    transaction: ServerTransaction,
    options: ForwardOptions<T>,
  ): Forwarding<T> {
    const plan = {
      server: this.#server,
      signer: this.#signer,
      timerCMs: this.#options.timerCMs ?? DEFAULT_TIMER_C_MS,
      request,
      source: transaction.source,
      routing: this.#routes.routing(request),
      loopHash: loopHash(request, this.#routes.onward(request)),
      recordRoute: options.recordRoute ?? false,
      edit: options.edit,
    };
    const context = new ResponseContext(transaction, plan, options, this.#options.pass503 ?? false);
    context.start(options.targets);
    return context;
  }

  /** Forwards the ACK of a 2xx along its Route set without state (RFC 3261 16.11); one that is spent or ends here is dropped. */
  forwardAck(ack: SipRequest): void {
    const routing = this.#routes.routing(ack);
    const { target } = routing;
    if (ack.maxForwards === 0 || (routing.kind === 'none' && this.#endsHere(ack))) return;
    const draft = MessageDraft.from(ack);
    applyRouting(draft, routing);
    draft.setRequestUri(target.uri);
    draft.set('max-forwards', String((ack.maxForwards ?? 71) - 1));
    const byHeaders = nextHopOf(draft, target.uri);
    this.#server.route(target.flow === undefined ? { uri: byHeaders } : { flow: target.flow }, (found) => {
      if (found instanceof Error) return;
      draft.push('via', viaValue(found, newBranch()));
      found.send(draft.serialize());
    });
  }

  #endsHere({ uri }: SipRequest): boolean {
    return uri?.kind !== 'sip' || this.#server.isLocal(uri.host, uri.port);
  }

  #isLooped(request: SipRequest): boolean {
    const hash = loopHash(request, this.#routes.onward(request));
    if (hasLooped(request, hash, (host, port) => this.#server.isLocal(host, port))) return true;
    return this.#options.isLooped?.(request) ?? false;
  }

  #unsupported(request: SipRequest): string {
    const supported = this.#options.supported ?? [];
    const required = request.indexOf('proxy-require') < 0 ? [] : request.values('proxy-require');
    return required.filter((tag) => !supported.includes(tag.toLowerCase())).join(', ');
  }
}
