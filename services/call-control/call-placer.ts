import type { NumberSource } from '../../shared/domain/finished-call.ts';
import { type CallFacts, type Outcome, outcomeOf } from '../../shared/domain/last-call-record.ts';
import { type DialRule, isEmergency, toDialable } from '../../shared/domain/number.ts';
import type { Span } from '../../shared/runtime/tracing.ts';
import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { StatefulProxy } from '../../shared/sip/proxy/stateful-proxy.ts';
import type { ForwardOutcome } from '../../shared/sip/proxy/types.ts';
import type { ServerTransaction } from '../../shared/sip/transaction/user.ts';
import { DATABASE_AWAY } from './answers.ts';
import type { CallForwarding } from './call-forwarding.ts';
import type { CallMetrics, CallResult } from './call-metrics.ts';
import type { CallRecordWriter } from './call-record-writer.ts';
import { forwardedBy } from './forwarded-by.ts';
import {
  assertIdentity,
  editedResponse,
  hideIdentity,
  removeClaims,
  removeCredentials,
  removeOwn,
} from './identity-headers.ts';
import type { Kept, LastCallRecorder } from './last-call-recorder.ts';
import { callerWith, type Originator, partyOf, type Sender } from './originator.ts';
import type { Callee, CallTarget, Router, Stages } from './router.ts';
import { offlineHeader } from './site-marker.ts';
import { isAbsence, isRedirect, type Silence, StagedSearch } from './staged-search.ts';
import { TargetSet } from './target-set.ts';
import type { TerminalDirectory } from './terminal-directory.ts';
import { bounded } from './user-part.ts';

/** A call to set up. */
export interface Call {
  readonly request: SipRequest;
  readonly transaction: ServerTransaction;
  readonly originator: Originator;
  /** The digits as dialed; after a star code the number it stands for (R1, R4). */
  readonly dialed: string;
  readonly code: 'none' | 'redial' | 'return';
  /** Call-ID of the call that is returned (F15). */
  readonly inReplyTo: string | null;
  /** What a redialed call asked for and this one does not (F16). */
  readonly inheritedPrivacy: readonly string[];
  /** The sender's Route leads on: the call goes there and nowhere else. */
  readonly alongRoute: boolean;
  /** Of its trace, when it has one. */
  readonly span?: Span | undefined;
  /** `performance.now()` when the INVITE came; absent: now. */
  readonly cameMs?: number;
  /** After a star code: where its number came from. */
  readonly source?: NumberSource;
}

export interface CallPlacerOptions {
  readonly site: string;
  readonly domain: string;
  readonly proxy: StatefulProxy;
  readonly router: Router;
  readonly directory: TerminalDirectory;
  readonly forwarding: CallForwarding;
  readonly recorder: LastCallRecorder;
  /** Null: finished calls are not written down. */
  readonly callRecords: Pick<CallRecordWriter, 'ended'> | null;
  readonly metrics: CallMetrics;
  readonly dialRules: readonly DialRule[];
  readonly emergencyNumbers: readonly string[];
  readonly silence: Silence;
}

/** Routes a call, forwards it and writes down what becomes of it (R3, R9 to R11, R15). */
export class CallPlacer {
  readonly #options: CallPlacerOptions;

  constructor(options: CallPlacerOptions) {
    this.#options = options;
  }

  isEmergency(request: SipRequest, dialed: string): boolean {
    return isEmergency(request.requestUri, dialed, this.#options.emergencyNumbers);
  }

  async place(call: Call): Promise<void> {
    const { router, directory } = this.#options;
    const callee: Callee = await directory.dialed(call.dialed).catch(() => 'unreadable');
    const enabled = callee === null || callee === 'unreadable' || callee.enabled ? callee : null;
    const facts = this.#factsOf(call, enabled);
    if (call.originator.sitesPassed.length === 0)
      traced(call, 'record the dialed number', this.#options.recorder.dialed(facts));
    const { request } = call;
    const stages = call.alongRoute
      ? router.routeStages(this.#alongRouteUri(call))
      : await router.stages(request, call.dialed, enabled, call.originator);
    if (stages === null) this.#refuseUnknown(call);
    else if (stages.length > 0) this.#forward(call, facts, stages);
    else if (enabled === 'unreadable') call.transaction.reply(DATABASE_AWAY);
    else this.#refuseOffline(call, facts);
  }

  /** R2: at once, to wherever emergency calls go, whoever calls. */
  async placeEmergency(
    request: SipRequest,
    transaction: ServerTransaction,
    dialed: string,
    sender: Sender,
  ): Promise<void> {
    const { domain, metrics, proxy, router, silence } = this.#options;
    const routing = proxy.routing(request);
    const alongRoute = sender.asker === 'proxy' && routing.kind === 'preloaded';
    const stages = alongRoute
      ? router.routeStages(routing.uri)
      : await router.emergencyStages(request, dialed, sender);
    const search = new StagedSearch(stages, silence);
    const forwarding = proxy.forward<CallTarget>(request, transaction, {
      targets: search.first,
      recordRoute: true,
      edit: (draft) => {
        removeCredentials(draft, request, domain);
        removeOwn(draft, request);
        // Nobody proved anything: neither a destination nor a name is taken from the caller.
        if (sender.asker === 'stranger') removeClaims(draft, request);
        if (!alongRoute) draft.remove('route');
      },
      editResponse: editedResponse,
      onTrying: (target) => search.trying(target),
      onProvisional: (_response, target) => search.heard(target),
      isAbsence,
      onTargetFinal: (_status, target, response) => search.answered(target, response),
      onExhausted: () => search.next(),
      onOutcome: (outcome) => {
        search.end();
        metrics.call('emergency', resultOf(outcome));
      },
    });
    search.begin(forwarding);
  }

  /** To another domain: forwarded through the gateway, recorded nowhere, since a redial could not reach it. */
  placeForeign(call: Call): void {
    const way = this.#options.router.toForeign(call.request, call.originator);
    if ('stages' in way) this.#forward(call, { ...this.#factsOf(call, null), from: null }, way.stages);
    else {
      call.transaction.reply(way.refusal);
      this.#options.metrics.call(call.code, 'foreign');
    }
  }

  #refuseUnknown({ code, span, transaction }: Call): void {
    transaction.reply({ status: 404 });
    span?.end({ 'lastcall.code': code, 'lastcall.result': 'unknown-number' });
    this.#options.metrics.call(code, 'unknown-number');
  }

  /** R15: a call from a peer site is written by that site, which may find the callee at yet another one. */
  #refuseOffline(call: Call, facts: CallFacts): void {
    const { code, originator, transaction } = call;
    const { metrics, recorder, site } = this.#options;
    const fromPeer = originator.sitesPassed.length > 0;
    // Before the caller hears of it: from then on it must survive this process.
    if (!fromPeer) traced(call, 'record the missed call', recorder.ended(facts, 'missed'));
    transaction.reply({ status: 480, ...(fromPeer && { headers: [offlineHeader(site)] }) });
    metrics.call(code, 'offline');
    this.#ended(call, facts, performance.now(), 'offline', 480);
  }

  #forward(call: Call, facts: CallFacts, stages: Stages): void {
    const { forwarding, metrics, proxy, recorder, silence } = this.#options;
    const { code, originator, request, transaction } = call;
    const began = performance.now();
    const forwarded = call.span?.child('forward');
    const targets = new TargetSet({
      forwarding,
      request,
      originator,
      facts,
      stages,
      silence,
      dress: (target, diverters) => this.#dressed(target, call, diverters),
    });
    const asking = proxy.forward<CallTarget>(request, transaction, {
      targets: targets.firstTargets,
      recordRoute: true,
      party: partyOf(originator),
      edit: (draft) => this.#edit(draft, call),
      editResponse: editedResponse,
      onTrying: (target) => targets.trying(target),
      onProvisional: (_response, target) => targets.heard(target),
      isAbsence,
      onTargetFinal: (_status, target, response) => targets.answered(target, response),
      onExhausted: (bestStatus) => targets.next(bestStatus),
      onOutcome: (outcome) => {
        targets.end();
        metrics.call(code, resultOf(outcome));
        if (!isPeers(outcome, targets) && !isOfAnotherSite(outcome, originator))
          traced(call, "record the callee's call", recorder.ended(targets.facts, recordedOutcome(outcome)));
        forwarded?.end({ 'sip.status': statusOf(outcome) });
        this.#ended(call, targets.facts, began, resultOf(outcome), statusOf(outcome));
      },
    });
    targets.begin(asking);
  }

  /** One row a call, at the caller's site. */
  #ended(call: Call, facts: CallFacts, began: number, result: CallResult, status: number): void {
    const { callRecords } = this.#options;
    call.span?.end({ 'lastcall.code': call.code, 'lastcall.result': result, 'sip.status': status });
    if (callRecords === null || call.originator.sitesPassed.length > 0) return;
    const { cameMs = began, code, dialed, source = null } = call;
    const setupMs = performance.now() - cameMs;
    callRecords.ended({ facts, dialed: bounded(dialed), code, source, result, status, setupMs });
  }

  #edit(draft: MessageDraft, { inReplyTo, inheritedPrivacy, originator, request }: Call): void {
    assertIdentity(draft, request, originator, this.#options.domain);
    if (inReplyTo !== null) draft.set('in-reply-to', inReplyTo);
    if (inheritedPrivacy.length > 0) draft.set('privacy', inheritedPrivacy.join(';'));
  }

  /** Says who sent the call on (RFC 5806). A phone does not learn a withheld identity. */
  #dressed(
    target: CallTarget,
    { inheritedPrivacy, originator }: Call,
    diverters: readonly string[],
  ): CallTarget {
    const { withheld } = callerWith(originator, [...originator.claims.privacy, ...inheritedPrivacy]);
    return {
      ...target,
      edit: (draft) => {
        if (target.kind === 'binding' && withheld !== null) hideIdentity(draft);
        for (const diverter of diverters)
          draft.push('diversion', `<${this.#options.router.uriOf(diverter)}>;reason=deflection`);
        target.edit?.(draft);
      },
    };
  }

  #alongRouteUri({ code, dialed, request }: Call): string {
    return code === 'none' ? this.#options.proxy.routing(request).uri : this.#options.router.uriOf(dialed);
  }

  #factsOf({ dialed, inheritedPrivacy, originator, request }: Call, callee: Callee): CallFacts {
    const privacy = [...originator.claims.privacy, ...inheritedPrivacy];
    const caller = callerWith(originator, privacy);
    const to = callee === 'unreadable' ? null : callee;
    return {
      callId: bounded(request.callId ?? ''),
      from: originator.terminal?.enabled ? originator.terminal : null,
      caller,
      callerDialable: caller.number === null ? null : toDialable(caller.number, this.#options.dialRules),
      to,
      dialed: bounded(dialed),
      dialedNumberId: to?.numberId ?? null,
      emergency: false,
      privacy,
      ...forwardedBy(request),
    };
  }
}

/** A part of the call's trace that lasts until the record is in the table, or wherever it is kept. */
function traced({ span }: Call, name: string, keeping: Promise<Kept> | null): void {
  if (span === undefined || keeping === null) return;
  const recording = span.child(name);
  void keeping.then((kept) => recording.end({ 'lastcall.kept': kept }));
}

/** R15: a peer site delivers the call, unless it was a phone here that took it after all. */
function isPeers(outcome: ForwardOutcome<CallTarget>, { peerReached }: TargetSet): boolean {
  return outcome.kind === 'answered' ? outcome.target.kind === 'peer' : peerReached;
}

/**
 * A peer site's call that is recorded there: the phone here sends it on, and that site follows; or a phone elsewhere took
 * it, of which no phone here has missed anything (R9).
 */
function isOfAnotherSite(outcome: ForwardOutcome<CallTarget>, { sitesPassed }: Originator): boolean {
  if (sitesPassed.length === 0) return false;
  return outcome.kind === 'cancelled'
    ? outcome.elsewhere
    : outcome.kind === 'rejected' && isRedirect(outcome.status);
}

/** R10: this server's own transaction decides. */
function recordedOutcome(outcome: ForwardOutcome<CallTarget>): Outcome {
  switch (outcome.kind) {
    case 'answered':
      return 'answered';
    case 'rejected':
      return outcomeOf(outcome.status);
    case 'cancelled':
    case 'abandoned':
      return 'missed';
  }
}

function statusOf(outcome: ForwardOutcome<CallTarget>): number {
  switch (outcome.kind) {
    case 'answered':
      return outcome.response.status;
    case 'cancelled':
      return 487;
    case 'rejected':
    case 'abandoned':
      return outcome.status;
  }
}

function resultOf(outcome: ForwardOutcome<CallTarget>): CallResult {
  return outcome.kind === 'rejected'
    ? outcomeOf(outcome.status) === 'missed'
      ? 'missed'
      : 'refused'
    : outcome.kind;
}
