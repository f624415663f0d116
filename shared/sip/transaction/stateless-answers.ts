import { createHmac, randomBytes } from 'node:crypto';
import type { SipCounters } from '../counters.ts';
import type { SipRequest } from '../message/message.ts';
import { buildResponse } from '../message/response.ts';
import type { Flow } from '../transport/flow.ts';
import type { Answer } from './user.ts';

/** A request as it came in: with its Via stamped, over this flow, so many bytes long before that. */
export interface Received {
  readonly request: SipRequest;
  readonly source: Flow;
  readonly bytes: number;
}

export interface StatelessAnswersOptions {
  readonly counters: SipCounters;
  readonly responseFlow: (request: SipRequest, source: Flow) => Flow;
}

/** G4: over UDP a source may be forged, so an answer to it is worth at most this many times the request's bytes. */
const MAX_AMPLIFICATION = 2;

/**
 * Answers that leave nothing behind (RFC 3261 8.2.7): sent once, to where the request came from, never larger than twice
 * the request over UDP. A repeated request gets the same To tag again.
 */
export class StatelessAnswers {
  readonly #options: StatelessAnswersOptions;
  readonly #tagKey = randomBytes(32);

  constructor(options: StatelessAnswersOptions) {
    this.#options = options;
  }

  send({ request, source, bytes }: Received, answer: Answer): void {
    const { counters, responseFlow } = this.#options;
    const limit = source.reliable ? Number.POSITIVE_INFINITY : bytes * MAX_AMPLIFICATION;
    const text = this.#fitting(request, answer, limit);
    if (text === undefined || !source.open) counters.answersWithheld++;
    else responseFlow(request, source).send(text);
  }

  /** Of several headers, e.g. one challenge an algorithm, the first are left away until the answer fits. */
  #fitting(request: SipRequest, answer: Answer, limit: number): string | undefined {
    const toTag = this.#toTag(request);
    const headers = answer.headers ?? [];
    for (let skipped = 0; skipped <= Math.max(0, headers.length - 1); skipped++) {
      const { text } = buildResponse(request, { ...answer, headers: headers.slice(skipped), toTag });
      if (text.length <= limit) return text;
      if (skipped === 0) this.#options.counters.answersShortened++;
    }
    return undefined;
  }

  #toTag(request: SipRequest): string {
    const { callId, from, topVia } = request;
    return createHmac('sha256', this.#tagKey)
      .update(`${topVia?.branch}|${topVia?.host}|${callId}|${from?.tag}|${request.header('cseq')}`)
      .digest('base64url')
      .slice(0, 12);
  }
}
