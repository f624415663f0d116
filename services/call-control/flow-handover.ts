import { createHmac, timingSafeEqual } from 'node:crypto';
import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';

/** Asks another process of this site to send a request over a connection that only it holds (RFC 5626 5.3). */
const HEADER = 'x-lastcall-flow';

/**
 * A connection's token, signed for one Call-ID with the site's secret: nobody outside can name a connection, and what one
 * call shows is of no use for another.
 */
export class FlowHandover {
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  ask(draft: MessageDraft, request: SipRequest, token: string): void {
    draft.set(HEADER, `${token}.${this.#signature(token, request.callId ?? '')}`);
  }

  /** The token this process is asked to use; null when it is not asked; undefined when the signature is wrong. */
  asked(request: SipRequest): string | null | undefined {
    const value = request.header(HEADER);
    if (value === undefined) return null;
    const dot = value.lastIndexOf('.');
    const token = value.slice(0, Math.max(0, dot));
    const given = Buffer.from(value.slice(dot + 1));
    const expected = Buffer.from(this.#signature(token, request.callId ?? ''));
    return given.length === expected.length && timingSafeEqual(given, expected) ? token : undefined;
  }

  remove(draft: MessageDraft): void {
    draft.remove(HEADER);
  }

  #signature(token: string, callId: string): string {
    return createHmac('sha256', this.#secret).update(`${token}|${callId}`).digest('base64url').slice(0, 22);
  }
}
