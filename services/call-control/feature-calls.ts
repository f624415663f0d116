import {
  admitTerminal,
  decideFeatureCall,
  type FeaturePolicy,
  type RefusedFeature,
} from '../../shared/domain/feature-call.ts';
import { type Feature, type FeatureCodes, featureOf } from '../../shared/domain/feature-code.ts';
import type { CallGroup } from '../../shared/domain/last-calls.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { LastCallsReader } from '../../shared/postgres/last-calls/last-calls-reader.ts';
import type { Logger } from '../../shared/runtime/logger.ts';
import type { Span } from '../../shared/runtime/tracing.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { Answer, ServerTransaction } from '../../shared/sip/transaction/user.ts';
import { unavailable } from './answers.ts';
import type { CallMetrics } from './call-metrics.ts';
import type { CallPlacer } from './call-placer.ts';
import type { CallRecordWriter } from './call-record-writer.ts';
import type { FeatureAnswers } from './feature-answers.ts';
import { unknownTags } from './option-tags.ts';
import { callerWith, type Originator } from './originator.ts';
import type { SkewAlarm } from './skew-alarm.ts';
import { bounded } from './user-part.ts';

export interface FeatureCallsOptions {
  readonly codes: FeatureCodes;
  readonly policy: FeaturePolicy;
  readonly reader: Pick<LastCallsReader, 'read'>;
  readonly placer: CallPlacer;
  readonly answers: FeatureAnswers;
  /** Null: finished calls are not written down. */
  readonly callRecords: Pick<CallRecordWriter, 'ended'> | null;
  readonly skew: SkewAlarm;
  readonly metrics: CallMetrics;
  readonly log: Logger;
}

/** An INVITE to a star code. */
export interface FeatureInvite {
  readonly request: SipRequest;
  readonly transaction: ServerTransaction;
  readonly originator: Originator;
  readonly feature: Feature;
  readonly alongRoute: boolean;
  /** Of its trace, when it has one. */
  readonly span?: Span | undefined;
}

const REDIRECTED: Readonly<Record<'redial' | 'return', 'last number' | 'last caller'>> = {
  redial: 'last number',
  return: 'last caller',
};

/** The star codes: who may use one, what number it stands for, and the call to it (F1 to F19). */
export class FeatureCalls {
  readonly #options: FeatureCallsOptions;

  constructor(options: FeatureCallsOptions) {
    this.#options = options;
  }

  /** F17: by the dialed user part, escaped or not. */
  featureOf(userPart: string): Feature | null {
    return featureOf(userPart, this.#options.codes);
  }

  async place(invite: FeatureInvite): Promise<void> {
    const { feature, originator, request, transaction } = invite;
    const unknown = unknownTags(request.values('require'));
    const admitted = admitTerminal(originator.terminal, feature);
    if (unknown.length > 0)
      this.#refuse(invite, { status: 420, headers: [['Unsupported', unknown.join(', ')]] }, 'unsupported');
    else if (admitted.kind === 'refuse') this.#refuseFor(invite, admitted);
    else if (feature === 'erase' || feature === 'trace')
      await this.#options.answers.perform(feature, admitted.terminal, request, transaction);
    else await this.#call(invite, feature, admitted.terminal);
  }

  async #call(invite: FeatureInvite, feature: 'redial' | 'return', terminal: StoredTerminal): Promise<void> {
    const { log, metrics, placer, policy, reader, skew } = this.#options;
    const started = performance.now();
    const looking = invite.span?.child('lookup', { 'lastcall.terminal_id': terminal.terminalId });
    const { sources, marks } = await reader.read(terminal.terminalId);
    looking?.end({ 'lastcall.sources': sources.length });
    skew.look(sources);
    const decision = decideFeatureCall({ terminal, feature, sources, marks }, policy);
    metrics.lookup(feature, (performance.now() - started) / 1000);
    // CANCEL came during the lookup (F12).
    if (invite.transaction.cancelled) return this.#refuse(invite, { status: 487 }, 'cancelled');
    if (decision.kind === 'refuse') return this.#refuseFor(invite, decision);
    const { degraded, entry, number, site } = decision;
    log.info(
      { terminalId: terminal.terminalId, feature, target: number, from: site, degraded },
      REDIRECTED[feature],
    );
    await placer.place({
      request: invite.request,
      transaction: invite.transaction,
      originator: invite.originator,
      alongRoute: invite.alongRoute,
      dialed: number,
      code: feature,
      cameMs: started,
      span: invite.span,
      source: { site, at: entry.at },
      inReplyTo: feature === 'return' ? entry.callId : null,
      inheritedPrivacy: feature === 'redial' ? inheritedPrivacy(entry, invite) : [],
    });
  }

  #refuse({ feature, span, transaction }: FeatureInvite, answer: Answer, result: string): void {
    transaction.reply(answer);
    this.#options.metrics.call(feature, result);
    span?.end({ 'lastcall.code': feature, 'lastcall.result': result });
  }

  #refuseFor(invite: FeatureInvite, { reason, refusal, status }: RefusedFeature): void {
    this.#refuse(invite, status === 503 ? unavailable(reason) : { status, reason }, refusal);
    const { feature, originator, request } = invite;
    if (feature !== 'redial' && feature !== 'return') return;
    this.#options.callRecords?.ended({
      facts: {
        callId: bounded(request.callId ?? ''),
        from: originator.terminal,
        caller: callerWith(originator, originator.claims.privacy),
        to: null,
      },
      dialed: null,
      code: feature,
      source: null,
      result: refusal,
      status,
      setupMs: 0,
    });
  }
}

/** F16: what the redialed call asked for, where the call at hand does not ask for privacy itself. */
function inheritedPrivacy({ privacy }: CallGroup, { originator }: FeatureInvite): readonly string[] {
  return originator.claims.privacy.length > 0 ? [] : (privacy?.split(';') ?? []);
}
