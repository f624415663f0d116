import { MessageDraft } from '../message/draft.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import { type SipServer, viaValue } from '../server.ts';
import type { Timer, TimerTask } from '../transaction/timer-wheel.ts';
import type { ClientTransaction, ClientTransactionUser } from '../transaction/user.ts';
import type { Flow } from '../transport/flow.ts';
import { type DialogSide, endOf } from './dialog-ticket.ts';
import type { Dialogs } from './dialogs.ts';
import { forwardBranch } from './loop.ts';
import { addRecordRoute } from './record-route.ts';
import { applyRouting, nextHopOf } from './routing.ts';
import type { Routing, Target } from './types.ts';

/** What a branch needs of the response context it belongs to. */
export interface BranchOwner<T extends Target> {
  onTrying(branch: Branch<T>): void;
  onProvisional(response: SipResponse, branch: Branch<T>): void;
  onFinal(status: number, response: SipResponse | undefined, branch: Branch<T>): void;
}

/** The same for every branch of one forwarded request. */
export interface ForwardPlan {
  readonly server: SipServer;
  readonly dialogs: Dialogs;
  readonly timerCMs: number;
  readonly request: SipRequest;
  readonly source: Flow;
  readonly routing: Routing;
  readonly loopHash: string;
  readonly recordRoute: boolean;
  /** Who the sender has proved to be. */
  readonly party: string | undefined;
  readonly edit: ((draft: MessageDraft) => void) | undefined;
}

interface BranchDialog {
  readonly dialogs: Dialogs;
  readonly ticket: string;
  readonly from: DialogSide;
  /** A 2xx to this request ends the dialog. */
  readonly ends: boolean;
  /** Record-Route values added; 0 within a dialog. */
  readonly added: number;
}

/** One copy of a request on its way to one target (RFC 3261 16.6). */
export class Branch<T extends Target> implements ClientTransactionUser, TimerTask {
  readonly target: T;
  /** RFC 5393: into how many branches the target may fork it. */
  readonly breadth: number;
  readonly #owner: BranchOwner<T>;
  readonly #server: SipServer;
  readonly #timerCMs: number;
  #transaction: ClientTransaction | undefined;
  #timerC: Timer | undefined;
  #provisional = false;
  #cancelled = false;
  #done = false;
  /** The dialog that this branch founds or goes along, and how many Record-Route values it added. */
  #dialog: BranchDialog | undefined;

  constructor(owner: BranchOwner<T>, target: T, { server, timerCMs }: ForwardPlan, breadth: number) {
    this.#owner = owner;
    this.target = target;
    this.breadth = breadth;
    this.#server = server;
    this.#timerCMs = timerCMs;
  }

  /** True until a final result. */
  get pending(): boolean {
    return !this.#done;
  }

  /** Builds the copy and sends it; a failure comes as a final result. */
  start(plan: ForwardPlan): void {
    const { flow, nextHop, uri } = this.target;
    const draft = this.#copy(plan);
    const byHeaders = nextHopOf(draft, uri);
    const hop = flow === undefined ? { uri: nextHop ?? byHeaders } : { flow };
    this.#server.route(hop, (found) => {
      if (this.#cancelled) this.#finish(487, undefined);
      else if (found instanceof Error) this.#finish(flow === undefined ? 503 : 430, undefined);
      else this.#send(plan, draft, found);
    });
  }

  /**
   * Asks the target to stop; its final response still comes. A target that has said nothing yet gets its CANCEL when it does
   * (RFC 3261 9.1), but the caller does not wait for it: one silent fork must not hold a hung-up call for timer B.
   */
  cancel(reason?: string): void {
    if (this.#done) return;
    this.#cancelled = true;
    this.#transaction?.cancel(reason);
    if (this.#transaction !== undefined && !this.#provisional) this.#finish(487, undefined);
  }

  /** Waits no longer; a target that speaks after all gets its CANCEL then. */
  giveUp(): void {
    if (this.#done) return;
    this.#cancelled = true;
    this.#transaction?.cancel();
    this.#finish(408, undefined);
  }

  onResponse(response: SipResponse): void {
    this.#tellDialog(response);
    if (response.status >= 200) {
      this.#finish(response.status, response);
      return;
    }
    this.#provisional = true;
    if (this.#done) return;
    if (response.status === 100) {
      this.#owner.onTrying(this);
      return;
    }
    this.#armTimerC();
    this.#owner.onProvisional(response, this);
  }

  /** RFC 3261 16.8. */
  onTimeout(): void {
    this.#finish(408, undefined);
  }

  /** RFC 3261 16.9. */
  onTransportError(): void {
    this.#finish(503, undefined);
  }

  /** Timer C, RFC 3261 16.8: cancel what rings, give up what never answered. */
  onTimer(): void {
    if (this.#provisional) this.cancel();
    else this.#finish(408, undefined);
  }

  /** RFC 3261 16.6 items 1 to 6; Route before the owner's edits, Via and Record-Route after them. */
  #copy({ request, routing, edit }: ForwardPlan): MessageDraft {
    const draft = MessageDraft.from(request);
    applyRouting(draft, routing);
    draft.setRequestUri(this.target.uri);
    const maxForwards = request.maxForwards;
    if (request.to?.tag === undefined) draft.set('max-breadth', String(this.breadth));
    draft.set('max-forwards', String(maxForwards === undefined ? 70 : Math.max(0, maxForwards - 1)));
    edit?.(draft);
    this.target.edit?.(draft);
    for (const route of (this.target.route ?? []).toReversed()) draft.push('route', route);
    return draft;
  }

  #send(plan: ForwardPlan, draft: MessageDraft, out: Flow): void {
    const { dialogs, request, routing, source } = plan;
    const ends = routing.kind === 'dialog' && dialogs.endsWith(routing.ticket.text, request);
    if (routing.kind === 'dialog')
      this.#dialog = { dialogs, ticket: routing.ticket.text, from: routing.from, ends, added: 0 };
    else if (plan.recordRoute) {
      const { flow, party } = this.target;
      const ticket = dialogs.open(
        request,
        endOf(source, false, plan.party),
        endOf(out, flow === undefined, party),
      );
      const added = addRecordRoute(draft, ticket, source, out);
      this.#dialog = { dialogs, ticket, from: 'caller', ends, added };
    }
    const branch = forwardBranch(this.#server.newBranch(), plan.loopHash);
    draft.push('via', viaValue(out, branch));
    this.#transaction = this.#server.send(request.method, branch, draft.serialize(), out, this);
    if (request.method === 'INVITE') this.#armTimerC();
  }

  /** Every 2xx goes to the owner (RFC 3261 16.7 item 5), any other final response once. */
  #finish(status: number, response: SipResponse | undefined): void {
    if (this.#done && (status < 200 || status >= 300)) return;
    if (this.#dialog !== undefined && this.#dialog.added > 0)
      this.#dialog.dialogs.concluded(this.#dialog.ticket, status < 300);
    this.#done = true;
    this.#server.wheel.cancel(this.#timerC);
    this.#timerC = undefined;
    this.#owner.onFinal(status, response, this);
  }

  #tellDialog(response: SipResponse): void {
    if (this.#dialog === undefined) return;
    const { added, dialogs, ends, from, ticket } = this.#dialog;
    if (ends && response.status >= 200 && response.status < 300) dialogs.end(ticket);
    else dialogs.heard(ticket, from, response);
    if (added > 0) dialogs.learnRoutes(ticket, response, added);
  }

  #armTimerC(): void {
    this.#server.wheel.cancel(this.#timerC);
    this.#timerC = this.#server.wheel.schedule(this.#timerCMs, this, 'C');
  }
}
