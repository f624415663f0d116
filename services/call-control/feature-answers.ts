import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { Answer, ServerTransaction } from '../../shared/sip/transaction/user.ts';
import { unavailable } from './answers.ts';
import type { CallMetrics } from './call-metrics.ts';
import type { LastCallRecorder } from './last-call-recorder.ts';
import type { OwnAddresses } from './own-addresses.ts';

export interface FeatureAnswersOptions {
  readonly recorder: LastCallRecorder;
  readonly addresses: OwnAddresses;
  readonly metrics: CallMetrics;
  /** What the subscriber hears when it is done: a call that is answered, or a refusal whose text says so. */
  readonly answerWith: '200' | '480';
}

/** The user part of this server's own Contact, where it answers a call itself. */
const OWN_USER = 'lastcall-done';
const DONE: Readonly<Record<'erase' | 'trace', string>> = {
  erase: 'Last Callers Erased',
  trace: 'Last Call Traced',
};

/** Star codes that this server answers itself (F19): they do something and reach nobody. */
export class FeatureAnswers {
  readonly #options: FeatureAnswersOptions;

  constructor(options: FeatureAnswersOptions) {
    this.#options = options;
  }

  async perform(
    feature: 'erase' | 'trace',
    terminal: StoredTerminal,
    request: SipRequest,
    transaction: ServerTransaction,
  ): Promise<void> {
    const { answerWith, metrics, recorder } = this.#options;
    const kept = await (feature === 'erase' ? recorder.erased(terminal) : recorder.traced(terminal));
    metrics.call(feature, kept);
    if (kept === 'lost') transaction.reply(unavailable('Not Recorded'));
    else if (answerWith === '480') transaction.reply({ status: 480, reason: DONE[feature] });
    else {
      transaction.reply({ status: 183, reason: DONE[feature] });
      transaction.reply(this.#accepting(request, DONE[feature]));
    }
  }

  /** True for what comes inside a dialog that this server answered: the subscriber hangs up. */
  answersInDialog(request: SipRequest): boolean {
    return (
      request.uri?.kind === 'sip' &&
      request.uri.user === OWN_USER &&
      this.#options.addresses.isOurs(request.uri)
    );
  }

  #accepting(request: SipRequest, reason: string): Answer {
    const uri = this.#options.addresses.routeUri.replace('sip:', `sip:${OWN_USER}@`).replace(/;lr$/, '');
    const recordRoutes = request.headerLines('record-route').map((value) => ['Record-Route', value] as const);
    const body = silentAnswer(request);
    return {
      status: 200,
      reason,
      headers: [
        ...recordRoutes,
        ['Contact', `<${uri}>`],
        ...(body === '' ? [] : [['Content-Type', 'application/sdp'] as const]),
      ],
      body,
    };
  }
}

/** An answer that takes no media: every stream of the offer with port 0 (RFC 3264 6). */
function silentAnswer(request: SipRequest): string {
  const media = request.body.match(/^m=.*$/gm);
  if (media === null) return '';
  const refused = media.map((line) => line.trim().replace(/^m=(\S+) \S+ /, 'm=$1 0 '));
  const session = ['v=0', 'o=- 0 0 IN IP4 0.0.0.0', 's=-', 'c=IN IP4 0.0.0.0', 't=0 0', ...refused];
  return `${session.join('\r\n')}\r\n`;
}
