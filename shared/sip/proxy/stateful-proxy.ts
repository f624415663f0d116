import { MessageDraft } from '../message/draft.ts';
import type { SipRequest } from '../message/message.ts';
import { type SipServer, viaValue } from '../server.ts';
import type { Answer, ServerTransaction } from '../transaction/user.ts';
import type { Flow } from '../transport/flow.ts';
import { Dialogs, type DialogVerdict } from './dialogs.ts';
import { hasLooped, loopHash } from './loop.ts';
import { ResponseContext } from './response-context.ts';
import { applyRouting, nextHopOf, RouteReader } from './routing.ts';
import type { Forwarding, ForwardOptions, ProxyOptions, Routing, Target } from './types.ts';

const DEFAULT_TIMER_C_MS = 185_000;
const DEFAULT_DIALOG_SECONDS = 86_400;

/** The stateful proxy of RFC 3261 16 for one server. */
export class StatefulProxy {
  readonly #server: SipServer;
  readonly #options: ProxyOptions;
  readonly #dialogs: Dialogs;
  readonly #routes: RouteReader;
  /** INVITEs under way. */
  readonly #calls = new Set<Pick<Forwarding<Target>, 'abandon'>>();
  #closed: Answer | undefined;

  constructor(options: ProxyOptions) {
    this.#server = options.server;
    this.#options = options;
    const { dialogLifetimeSeconds, isOwn, isTrusted, server } = options;
    this.#dialogs = new Dialogs({
      server,
      lifetimeSeconds: dialogLifetimeSeconds ?? DEFAULT_DIALOG_SECONDS,
      isTrusted: isTrusted ?? (() => false),
      now: Date.now,
    });
    this.#routes = new RouteReader(
      this.#dialogs,
      (host, port) => server.isLocal(host, port) || (isOwn?.(host, port) ?? false),
    );
  }

  /** RFC 3261 16.3: 483, 482 (own branch), 420; undefined when the request may go on. */
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

  /** Dialogs under way that this process knows of. */
  get dialogs(): number {
    return this.#dialogs.size;
  }

  /**
   * G3: where a request goes that holds a ticket: over the flow of the other party, or nowhere. Undefined without a ticket.
   * `proven` is who a sender that moved has proved to be.
   */
  inDialog(request: SipRequest, source: Flow, proven?: string): DialogVerdict | undefined {
    const routing = this.#routes.routing(request);
    if (routing.kind !== 'dialog') return undefined;
    const { from, ticket, uri } = routing;
    return this.#dialogs.admit({
      request,
      source,
      ticket,
      from,
      uri,
      onward: this.#routes.onward(request),
      proven,
    });
  }

  /** RFC 3261 16.5 to 16.11: forwards to the targets and sees every response home. Sends 100 to an INVITE unless done. */
  forward<T extends Target>(
    request: SipRequest,
    transaction: ServerTransaction,
    options: ForwardOptions<T>,
  ): Forwarding<T> {
    const plan = {
      server: this.#server,
      dialogs: this.#dialogs,
      timerCMs: this.#options.timerCMs ?? DEFAULT_TIMER_C_MS,
      request,
      source: transaction.source,
      routing: this.#routes.routing(request),
      loopHash: loopHash(request, this.#routes.onward(request)),
      recordRoute: options.recordRoute ?? false,
      party: options.party,
      edit: options.edit,
    };
    const onOutcome: ForwardOptions<T>['onOutcome'] = (outcome) => {
      this.#calls.delete(context);
      options.onOutcome?.(outcome);
    };
    const context = new ResponseContext(
      transaction,
      plan,
      { ...options, onOutcome },
      this.#options.pass503 ?? false,
    );
    if (transaction.finished) return context;
    if (transaction.method === 'INVITE') this.#calls.add(context);
    if (this.#closed === undefined) context.start(options.targets);
    else context.abandon(this.#closed);
    return context;
  }

  /** Gives every call under way this answer and cancels its targets; one that begins later gets it at once. Returns how many. */
  close(answer: Answer): number {
    this.#closed = answer;
    const calls = [...this.#calls];
    for (const call of calls) call.abandon(answer);
    return calls.length;
  }

  /**
   * Forwards the ACK of a 2xx without state (RFC 3261 16.11), over the flow of the other party of its dialog. One without a ticket,
   * of another source or spent is dropped: nobody waits for an answer to it, and it is never looked up.
   */
  forwardAck(ack: SipRequest, source: Flow, edit?: (draft: MessageDraft, to: Flow) => void): void {
    if (ack.maxForwards === 0) return;
    const verdict = this.inDialog(ack, source);
    if (verdict?.kind !== 'pass') return;
    const routing = this.#routes.routing(ack);
    const draft = MessageDraft.from(ack);
    applyRouting(draft, routing);
    draft.setRequestUri(routing.uri);
    draft.set('max-forwards', String((ack.maxForwards ?? 71) - 1));
    edit?.(draft, verdict.flow);
    nextHopOf(draft, routing.uri);
    draft.push('via', viaValue(verdict.flow, this.#server.newBranch()));
    verdict.flow.send(draft.serialize());
  }

  #isLooped(request: SipRequest): boolean {
    const hash = () => loopHash(request, this.#routes.onward(request));
    return hasLooped(request, hash, (host, port) => this.#server.isLocal(host, port));
  }

  #unsupported(request: SipRequest): string {
    const supported = this.#options.supported ?? [];
    const required = request.indexOf('proxy-require') < 0 ? [] : request.values('proxy-require');
    return required.filter((tag) => !supported.includes(tag.toLowerCase())).join(', ');
  }
}
