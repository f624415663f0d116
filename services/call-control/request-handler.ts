import type { Logger } from '../../shared/runtime/logger.ts';
import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { DialogVerdict } from '../../shared/sip/proxy/dialogs.ts';
import type { StatefulProxy } from '../../shared/sip/proxy/stateful-proxy.ts';
import type { SipServer } from '../../shared/sip/server.ts';
import type { ServerTransaction } from '../../shared/sip/transaction/user.ts';
import type { Flow } from '../../shared/sip/transport/flow.ts';
import type { Admission } from './admission.ts';
import { DRAINING, NOT_READY, OPTIONS_OK, OVERLOADED } from './answers.ts';
import type { CallMetrics } from './call-metrics.ts';
import type { CallPlacer } from './call-placer.ts';
import type { FeatureAnswers } from './feature-answers.ts';
import type { FeatureCalls } from './feature-calls.ts';
import type { FlowHandover } from './flow-handover.ts';
import { hideIdentity, removeClaims, removeCredentials, removeOwn } from './identity-headers.ts';
import type { Originator } from './originator.ts';
import type { OwnAddresses } from './own-addresses.ts';
import type { Registrar } from './registrar.ts';
import type { RequestForwarder } from './request-forwarder.ts';
import { offlineHeader } from './site-marker.ts';
import type { TrustedSources } from './trusted-sources.ts';
import { dialedUser } from './user-part.ts';

export interface RequestHandlerOptions {
  readonly site: string;
  readonly domain: string;
  readonly server: SipServer;
  readonly proxy: StatefulProxy;
  readonly addresses: OwnAddresses;
  readonly sources: TrustedSources;
  readonly handover: FlowHandover;
  readonly admission: Admission;
  readonly registrar: Registrar;
  readonly placer: CallPlacer;
  readonly features: FeatureCalls;
  readonly featureAnswers: FeatureAnswers;
  readonly forwarder: RequestForwarder;
  readonly metrics: CallMetrics;
  readonly log: Logger;
  readonly state: () => 'serving' | 'starting' | 'draining';
  /** Resolves once this process serves, at the latest after so many milliseconds. */
  readonly opened: (withinMs: number) => Promise<void>;
  /** Why new calls are refused now. */
  readonly overload: () => string | null;
}

/** Takes every request that enters, and decides in the order of the rules whose business it is. */
export class RequestHandler {
  readonly #options: RequestHandlerOptions;

  constructor(options: RequestHandlerOptions) {
    this.#options = options;
  }

  /** F1: 100 before anything that may wait. */
  handle(request: SipRequest, transaction: ServerTransaction): void {
    transaction.trying();
    this.#handle(request, transaction).catch((err: unknown) => {
      this.#options.log.error({ err, callId: request.callId, method: request.method }, 'request failed');
      transaction.reply({ status: 500 });
    });
  }

  async #handle(request: SipRequest, transaction: ServerTransaction): Promise<void> {
    const { featureAnswers, placer, proxy, registrar } = this.#options;
    const inDialog = request.to?.tag !== undefined;
    if (request.method === 'OPTIONS' && !inDialog) return this.#ping(transaction);
    const refusal = proxy.check(request);
    if (refusal !== undefined) return void transaction.reply(refusal);
    const routing = proxy.routing(request);
    const verdict = proxy.inDialog(request, transaction.source);
    if (verdict !== undefined) return this.#inDialog(request, transaction, verdict);
    if (inDialog)
      return void transaction.reply({ status: featureAnswers.answersInDialog(request) ? 200 : 481 });
    if (this.#options.state() === 'draining') return this.#shed(transaction, 'draining');
    if (request.method === 'REGISTER') return registrar.register(request, transaction);
    const dialed = dialedUser(request.uri) ?? '';
    if (request.method === 'INVITE' && placer.isEmergency(request, dialed))
      return this.#emergency(request, transaction, dialed);
    return this.#enter(request, transaction, dialed, routing.kind === 'preloaded');
  }

  /** G3: a party of the dialog that sends from elsewhere proves who it is; nobody else gets anywhere by a ticket. */
  async #inDialog(
    request: SipRequest,
    transaction: ServerTransaction,
    verdict: DialogVerdict,
  ): Promise<void> {
    const { admission, proxy } = this.#options;
    const { source } = transaction;
    let decided: DialogVerdict | undefined = verdict;
    if (verdict.kind === 'prove') {
      const verified = await admission.verify(request, source, 'proxy');
      if ('refusal' in verified) return void transaction.refuse(verified.refusal);
      decided = proxy.inDialog(request, source, String(verified.terminal.terminalId));
    }
    if (decided?.kind !== 'pass')
      return void transaction.refuse(decided?.kind === 'refuse' ? decided.answer : { status: 481 });
    const target = { uri: proxy.routing(request).uri, flow: decided.flow };
    const edit = (draft: MessageDraft) => this.#inDialogHeaders(draft, request, source, target.flow);
    proxy.forward(request, transaction, { targets: [target], edit });
  }

  /** The ACK of a 2xx, along its dialog or nowhere. */
  acknowledge(ack: SipRequest, source: Flow): void {
    this.#options.proxy.forwardAck(ack, source, (draft, to) => this.#inDialogHeaders(draft, ack, source, to));
  }

  /** An identity passes only between those who are both trusted; the other party knows who it talks to. */
  #inDialogHeaders(draft: MessageDraft, request: SipRequest, from: Flow, to: Flow): void {
    const { domain, sources } = this.#options;
    removeCredentials(draft, request, domain);
    if (!sources.has(from)) removeClaims(draft, request);
    else if (!sources.has(to)) hideIdentity(draft);
    removeOwn(draft, request);
  }

  /** A new request of somebody who must prove who they are. */
  async #enter(
    request: SipRequest,
    transaction: ServerTransaction,
    dialed: string,
    preloaded: boolean,
  ): Promise<void> {
    const { admission, forwarder, opened, overload, state } = this.#options;
    // Started anew after a crash: whoever calls in that second is better served late than refused.
    await opened(START_HOLD_MS);
    if (state() === 'starting') return this.#shed(transaction, 'starting');
    const isCall = request.method === 'INVITE';
    if (isCall && overload() !== null) return this.#shed(transaction, 'overload');
    if (this.#handedOver(request, transaction)) return;
    const admitted = await admission.admit(request, transaction.source);
    if ('refusal' in admitted) return void transaction.reply(admitted.refusal);
    const { originator } = admitted;
    if (preloaded && !originator.trusted)
      return void transaction.reply({ status: 403, reason: 'Route Not Allowed' });
    if (isCall) return this.#call(request, transaction, originator, dialed, preloaded);
    return forwarder.forward(request, transaction, originator, dialed, preloaded);
  }

  async #call(
    request: SipRequest,
    transaction: ServerTransaction,
    originator: Originator,
    dialed: string,
    alongRoute: boolean,
  ): Promise<void> {
    const { addresses, features, placer } = this.#options;
    const ours = originator.trusted || addresses.isOurs(request.uri);
    const feature = ours ? features.featureOf(dialed) : null;
    if (feature !== null) return features.place({ request, transaction, originator, feature, alongRoute });
    const call = {
      request,
      transaction,
      originator,
      dialed,
      code: 'none' as const,
      inReplyTo: null,
      inheritedPrivacy: [],
      alongRoute,
    };
    if (!ours) return placer.placeForeign(call);
    if (dialed === '') return void transaction.reply({ status: 484 });
    return placer.place(call);
  }

  /** R2: no challenge, no overload, no waiting for anything but the location service. */
  #emergency(request: SipRequest, transaction: ServerTransaction, dialed: string): Promise<void> {
    const { placer, sources } = this.#options;
    return placer.placeEmergency(request, transaction, dialed, sources.has(transaction.source));
  }

  /** Another process of this site asks for a connection that ends here. */
  #handedOver(request: SipRequest, transaction: ServerTransaction): boolean {
    const { handover, proxy, server, site } = this.#options;
    const token = handover.asked(request);
    if (token === null) return false;
    const flow = token === undefined ? undefined : server.flow(token);
    if (token === undefined) transaction.reply({ status: 403 });
    else if (flow === undefined) transaction.reply({ status: 480, headers: [offlineHeader(site)] });
    else {
      const target = { uri: request.requestUri, flow };
      proxy.forward(request, transaction, {
        targets: [target],
        recordRoute: true,
        edit: (draft) => handover.remove(draft),
      });
    }
    return true;
  }

  /** RFC 3261 11: the ping of dispatchers and phones (F14). */
  #ping(transaction: ServerTransaction): void {
    const state = this.#options.state();
    if (state === 'serving') transaction.reply(OPTIONS_OK);
    else this.#shed(transaction, state);
  }

  #shed(transaction: ServerTransaction, reason: keyof typeof SHED): void {
    this.#options.metrics.shed(reason);
    transaction.reply(SHED[reason]);
  }
}

const START_HOLD_MS = 3_000;
const SHED = { draining: DRAINING, starting: NOT_READY, overload: OVERLOADED } as const;
