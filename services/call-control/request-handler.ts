import type { Logger } from '../../shared/runtime/logger.ts';
import type { Span, Tracer } from '../../shared/runtime/tracing.ts';
import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { DialogVerdict } from '../../shared/sip/proxy/dialogs.ts';
import type { StatefulProxy } from '../../shared/sip/proxy/stateful-proxy.ts';
import type { SipServer } from '../../shared/sip/server.ts';
import type { Answer, ServerTransaction } from '../../shared/sip/transaction/user.ts';
import type { Flow } from '../../shared/sip/transport/flow.ts';
import type { Admission } from './admission.ts';
import { DRAINING, NOT_READY, OPTION_TAGS, OPTIONS_OK, OVERLOADED, registerLater } from './answers.ts';
import type { CallGate } from './call-gate.ts';
import type { CallMetrics } from './call-metrics.ts';
import type { CallPlacer } from './call-placer.ts';
import type { CallRecordWriter } from './call-record-writer.ts';
import type { FeatureAnswers } from './feature-answers.ts';
import type { FeatureCalls } from './feature-calls.ts';
import type { FlowHandover } from './flow-handover.ts';
import {
  editedResponse,
  hideIdentity,
  removeClaims,
  removeCredentials,
  removeOwn,
} from './identity-headers.ts';
import { unsupportedBy } from './option-tags.ts';
import type { Originator, Sender } from './originator.ts';
import type { Overload } from './overload.ts';
import type { OwnAddresses } from './own-addresses.ts';
import type { Registrar } from './registrar.ts';
import type { RequestForwarder } from './request-forwarder.ts';
import { isSecureFlow } from './router.ts';
import { offlineHeader, type SiteMarker } from './site-marker.ts';
import type { TrustedSources } from './trusted-sources.ts';
import { dialedUser } from './user-part.ts';

export interface RequestHandlerOptions {
  readonly site: string;
  readonly domain: string;
  readonly server: SipServer;
  readonly proxy: StatefulProxy;
  readonly addresses: OwnAddresses;
  readonly sources: TrustedSources;
  readonly gate: CallGate;
  readonly marker: SiteMarker;
  readonly handover: FlowHandover;
  readonly admission: Admission;
  readonly registrar: Registrar;
  readonly placer: CallPlacer;
  readonly features: FeatureCalls;
  readonly featureAnswers: FeatureAnswers;
  readonly forwarder: RequestForwarder;
  /** Null: finished calls are not written down. */
  readonly callRecords: Pick<CallRecordWriter, 'hungUp'> | null;
  readonly metrics: CallMetrics;
  /** Null: no call is traced. */
  readonly tracer: Tracer | null;
  readonly log: Logger;
  readonly state: () => 'serving' | 'starting' | 'draining';
  /** Resolves once this process serves, at the latest after so many milliseconds. */
  readonly opened: (withinMs: number) => Promise<void>;
  /** Why new calls are refused now. */
  readonly overload: Pick<Overload, 'reason' | 'isOverQuota' | 'isTooLate' | 'refusesRegistration'>;
}

/** Takes every request that enters, and decides in the order of the rules whose business it is. */
export class RequestHandler {
  readonly #options: RequestHandlerOptions;

  constructor(options: RequestHandlerOptions) {
    this.#options = options;
  }

  handle(request: SipRequest, transaction: ServerTransaction): void {
    this.#handle(request, transaction).catch((err: unknown) => {
      this.#options.log.error({ err, callId: request.callId, method: request.method }, 'request failed');
      transaction.reply({ status: 500 });
    });
  }

  /**
   * The answer to a new request that has waited too long to be served. Emergency calls never have (R2), nor has a phone that
   * answers a challenge to its REGISTER. Neither has who proves nothing: a challenge costs as little as a 503, and a flood of
   * those must not make anybody else's call late.
   */
  late(request: SipRequest, source: Flow, waitedMs: number): Answer | undefined {
    const { metrics, overload, placer, sources } = this.#options;
    const isCall = request.method === 'INVITE';
    if (isCall && !sources.has(source) && request.indexOf('proxy-authorization') < 0) return undefined;
    if (!overload.isTooLate(isCall ? 'calls' : 'registrations', waitedMs)) return undefined;
    const isExempt = isCall
      ? placer.isEmergency(request, dialedUser(request.uri) ?? '')
      : request.indexOf('authorization') >= 0;
    if (isExempt) return undefined;
    metrics.shed('overload');
    return isCall ? OVERLOADED : registerLater();
  }

  async #handle(request: SipRequest, transaction: ServerTransaction): Promise<void> {
    const { featureAnswers, proxy, site, state } = this.#options;
    const sender = this.#senderOf(request, transaction.source);
    const inDialog = request.to?.tag !== undefined;
    if (request.method === 'OPTIONS' && !inDialog) return this.#ping(request, sender, transaction);
    const refusal =
      this.#isOwn(request, transaction.source) || sender.sitesPassed.includes(site)
        ? LOOP
        : proxy.check(request);
    if (refusal !== undefined) return answer(sender, transaction, refusal);
    const routing = proxy.routing(request);
    const verdict = proxy.inDialog(request, transaction.source);
    if (verdict !== undefined) return this.#inDialog(request, transaction, verdict);
    if (inDialog)
      return answer(sender, transaction, { status: featureAnswers.answersInDialog(request) ? 200 : 481 });
    const dialed = dialedUser(request.uri) ?? '';
    const asked = { request, transaction, sender, dialed, preloaded: routing.kind === 'preloaded' };
    if (this.#isEmergency(asked)) return this.#emergency(asked);
    if (state() === 'draining') return this.#shed(sender, transaction, 'draining');
    if (request.method === 'REGISTER') return this.#register(request, transaction);
    return this.#enter(asked);
  }

  /** What is proven before anything is looked up: another site by its key, a proxy by its network. */
  #senderOf(request: SipRequest, source: Flow): Sender {
    const { log, marker, sources } = this.#options;
    const reading = marker.read(request);
    if (reading.kind === 'genuine') return { asker: 'peer', sitesPassed: reading.sites };
    if (reading.kind === 'refused') {
      // Expired, with a good key: the sites' clocks disagree, and their calls do not reach each other.
      const level = reading.reason === 'expired' ? 'warn' : 'debug';
      log[level]({ reason: reading.reason, source: source.remoteAddress }, 'site marker not believed');
    }
    return { asker: sources.has(source) ? 'proxy' : 'stranger', sitesPassed: [] };
  }

  /** This server sent it to itself: its own address stood somewhere as a destination. */
  #isOwn({ topVia }: SipRequest, { listener, remoteAddress }: Flow): boolean {
    const { server } = this.#options;
    if (topVia === undefined || !server.isLocal(topVia.host, topVia.port)) return false;
    return server.isLocal(remoteAddress, listener.port);
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
    if (request.method === 'BYE') this.#options.callRecords?.hungUp(request.callId);
    const target = { uri: proxy.routing(request).uri, flow: decided.flow, kind: 'dialog' };
    // RFC 3261 26.2.2: a request by sips goes over TLS or not at all.
    if (/^sips:/i.test(target.uri) && !isSecureFlow(target.flow))
      return void transaction.refuse({ status: 480 });
    const edit = (draft: MessageDraft) => this.#inDialogHeaders(draft, request, source, target.flow);
    proxy.forward(request, transaction, { targets: [target], edit, editResponse: editedResponse });
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

  /** A new request of somebody who must prove who they are, unless that is proven. */
  async #enter(asked: Asked): Promise<void> {
    const { admission, forwarder, gate, overload, state } = this.#options;
    const { request, sender, transaction } = asked;
    const isCall = request.method === 'INVITE';
    const span = isCall
      ? this.#options.tracer?.start('INVITE', { 'sip.call_id': request.callId ?? null })
      : undefined;
    if (isCall && overload.reason(transaction.source.remoteAddress, sender.asker === 'stranger') !== null)
      return this.#shedAtOnce(transaction, OVERLOADED);
    if (this.#handedOver(request, transaction)) return;
    let held = false;
    const worthWaiting = () => {
      held = true;
      return this.#hold(transaction);
    };
    if (sender.asker !== 'stranger') await worthWaiting();
    const admitting = span?.child('admit');
    const admitted = await admission.admit(request, transaction.source, sender, worthWaiting);
    admitting?.end();
    if (held && state() === 'starting') return this.#shed(sender, transaction, 'starting');
    if ('refusal' in admitted) return answer(sender, transaction, admitted.refusal);
    const { originator } = admitted;
    const refusal = asked.preloaded ? gate.refusal(originator.asker, 'route') : undefined;
    if (refusal !== undefined) return void transaction.reply(refusal);
    if (isCall) return this.#call(asked, originator, span);
    return forwarder.forward(request, transaction, originator, asked.dialed, asked.preloaded);
  }

  /**
   * F1: 100 for whom it is worth it, before anything that may wait. Started anew after a crash: whoever calls in that second is
   * better served late than refused.
   */
  #hold(transaction: ServerTransaction): Promise<void> {
    transaction.trying();
    return this.#options.opened(START_HOLD_MS);
  }

  async #call(
    { dialed, preloaded, request, transaction }: Asked,
    originator: Originator,
    span: Span | undefined,
  ): Promise<void> {
    const { addresses, features, gate, placer } = this.#options;
    const ours = originator.trusted || addresses.isOurs(request.uri);
    const feature = ours ? features.featureOf(dialed) : null;
    if (feature !== null) {
      const refusal = gate.refusal(originator.asker, 'star-code');
      if (refusal !== undefined) return void transaction.reply(refusal);
      return features.place({ request, transaction, originator, feature, alongRoute: preloaded, span });
    }
    const call = {
      request,
      transaction,
      originator,
      dialed,
      code: 'none' as const,
      inReplyTo: null,
      inheritedPrivacy: [],
      alongRoute: preloaded,
      span,
    };
    if (!ours) return placer.placeForeign(call);
    if (dialed === '') return void transaction.reply({ status: 484 });
    return placer.place(call);
  }

  /** R2, of this site's own domain: a stranger reaches nothing else by an emergency number. */
  #isEmergency({ dialed, request, sender }: Asked): boolean {
    if (request.method !== 'INVITE' || !this.#options.placer.isEmergency(request, dialed)) return false;
    return (
      sender.asker !== 'stranger' ||
      request.uri?.kind !== 'sip' ||
      this.#options.addresses.isOurs(request.uri)
    );
  }

  /**
   * R2: no challenge, no overload, no drain, no waiting for anything but the location service. One address of a stranger holds no
   * more of them than of other calls: a flood of them must not fill the memory, nor the emergency service's lines.
   */
  async #emergency({ dialed, request, sender, transaction }: Asked): Promise<void> {
    const { overload } = this.#options;
    if (sender.asker === 'stranger' && overload.isOverQuota(transaction.source.remoteAddress))
      return this.#shed(sender, transaction, 'overload');
    transaction.trying();
    return this.#options.placer.placeEmergency(request, transaction, dialed, sender);
  }

  /** Another process of this site asks for a flow that ends here. */
  #handedOver(request: SipRequest, transaction: ServerTransaction): boolean {
    const { handover, proxy, server, site } = this.#options;
    const token = handover.asked(request);
    if (token === null) return false;
    const flow = token === undefined ? undefined : server.flow(token);
    if (token === undefined) transaction.refuse({ status: 403 });
    else if (flow === undefined) transaction.reply({ status: 480, headers: [offlineHeader(site)] });
    else {
      const target = { uri: request.requestUri, flow, kind: 'binding' };
      proxy.forward(request, transaction, {
        targets: [target],
        recordRoute: true,
        edit: (draft) => handover.remove(draft),
        editResponse: editedResponse,
      });
    }
    return true;
  }

  /** RFC 3261 11: the ping of dispatchers and phones (F14). */
  #ping(request: SipRequest, sender: Sender, transaction: ServerTransaction): void {
    const state = this.#options.state();
    const unsupported = unsupportedBy(request, OPTION_TAGS);
    if (unsupported !== undefined) answer(sender, transaction, unsupported);
    else if (state === 'serving') answer(sender, transaction, OPTIONS_OK);
    else this.#shed(sender, transaction, state);
  }

  /** One that answers a challenge was let in a moment ago: half of the work is done. */
  #register(request: SipRequest, transaction: ServerTransaction): Promise<void> | void {
    const { overload, registrar } = this.#options;
    const isNew = request.indexOf('authorization') < 0;
    if (isNew && overload.refusesRegistration()) return this.#shedAtOnce(transaction, registerLater());
    return registrar.register(request, transaction);
  }

  /** Without a transaction for its retransmissions, whoever asked: what is refused now must cost next to nothing. */
  #shedAtOnce(transaction: ServerTransaction, what: Answer): void {
    this.#options.metrics.shed('overload');
    transaction.refuse(what);
  }

  #shed(sender: Sender, transaction: ServerTransaction, reason: keyof typeof SHED): void {
    this.#options.metrics.shed(reason);
    answer(sender, transaction, SHED[reason]);
  }
}

/** A new request, and what is known of it. */
interface Asked {
  readonly request: SipRequest;
  readonly transaction: ServerTransaction;
  readonly sender: Sender;
  readonly dialed: string;
  /** The sender's own Route leads on to another server. */
  readonly preloaded: boolean;
}

/** G4: nothing is kept for a stranger, unless it was worth a 100 already. */
function answer({ asker }: Sender, transaction: ServerTransaction, what: Answer): void {
  if (asker === 'stranger' && !transaction.answered) transaction.refuse(what);
  else transaction.reply(what);
}

const START_HOLD_MS = 3_000;
const LOOP: Answer = { status: 482 };
const SHED = { draining: DRAINING, starting: NOT_READY, overload: OVERLOADED } as const;
