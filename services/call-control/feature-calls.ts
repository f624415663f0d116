import { type Choice, chooseFreshest } from '../../shared/domain/choose-freshest.ts';
import {
  decideFeatureCall,
  type FeatureDecision,
  groupsOf,
  type ReturnSource,
} from '../../shared/domain/feature-call.ts';
import { type Feature, type FeatureCodes, featureOf } from '../../shared/domain/feature-code.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { LastCallsReader } from '../../shared/postgres/last-calls/last-calls-reader.ts';
import type { Logger } from '../../shared/runtime/logger.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { Answer, ServerTransaction } from '../../shared/sip/transaction/user.ts';
import { unavailable } from './answers.ts';
import type { CallMetrics } from './call-metrics.ts';
import type { CallPlacer } from './call-placer.ts';
import type { FeatureAnswers } from './feature-answers.ts';
import { unknownTags } from './option-tags.ts';
import type { Originator } from './originator.ts';
import type { SkewAlarm } from './skew-alarm.ts';

export interface FeatureCallsOptions {
  readonly codes: FeatureCodes;
  readonly returnSource: ReturnSource;
  readonly barred: readonly string[];
  readonly emergency: readonly string[];
  readonly reader: Pick<LastCallsReader, 'read'>;
  readonly placer: CallPlacer;
  readonly answers: FeatureAnswers;
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
    const { terminal } = originator;
    if (unknown.length > 0)
      this.#refuse(invite, { status: 420, headers: [['Unsupported', unknown.join(', ')]] }, 'unsupported');
    else if (terminal === null)
      this.#refuse(invite, { status: 404, reason: 'Unknown Terminal' }, 'unknown-terminal');
    else if (!terminal.features.includes(feature))
      this.#refuse(invite, { status: 403, reason: 'Feature Not Enabled' }, 'not-enabled');
    else if (feature === 'erase' || feature === 'trace')
      await this.#options.answers.perform(feature, terminal, request, transaction);
    else await this.#call(invite, feature, terminal);
  }

  async #call(invite: FeatureInvite, feature: 'redial' | 'return', terminal: StoredTerminal): Promise<void> {
    const { log, metrics, placer } = this.#options;
    const started = performance.now();
    const choice = await this.#choose(feature, terminal);
    const decision = this.#decide(choice, terminal);
    metrics.lookup(feature, (performance.now() - started) / 1000);
    // CANCEL came during the lookup (F12).
    if (invite.transaction.cancelled) return this.#refuse(invite, { status: 487 }, 'cancelled');
    if (decision.kind === 'refuse') return this.#refuse(invite, answerTo(decision), decision.refusal);
    const { callId, degraded, number, site } = decision;
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
      inReplyTo: feature === 'return' ? callId : null,
      inheritedPrivacy: feature === 'redial' ? inheritedPrivacy(choice, invite) : [],
    });
  }

  async #choose(feature: 'redial' | 'return', { terminalId }: StoredTerminal): Promise<Choice> {
    const { reader, returnSource, skew } = this.#options;
    const { sources, marks } = await reader.read(terminalId);
    skew.look(sources);
    return chooseFreshest(groupsOf(feature, returnSource), sources, marks);
  }

  #decide(choice: Choice, { number }: StoredTerminal): FeatureDecision {
    const { barred, emergency } = this.#options;
    const isFeatureCode = (candidate: string) => this.featureOf(candidate) !== null;
    return decideFeatureCall(choice, { ownNumber: number, isFeatureCode, barred, emergency });
  }

  #refuse({ feature, transaction }: FeatureInvite, answer: Answer, result: string): void {
    transaction.reply(answer);
    this.#options.metrics.call(feature, result);
  }
}

/** F16: what the redialed call asked for, where the call at hand does not ask for privacy itself. */
function inheritedPrivacy(choice: Choice, { originator }: FeatureInvite): readonly string[] {
  if (choice.kind !== 'number' || originator.claims.privacy.length > 0) return [];
  return choice.entry.privacy?.split(';') ?? [];
}

function answerTo({ reason, status }: Extract<FeatureDecision, { kind: 'refuse' }>): Answer {
  return status === 503 ? unavailable(reason) : { status, reason };
}
