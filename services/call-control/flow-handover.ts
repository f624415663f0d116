import { createHmac, timingSafeEqual } from 'node:crypto';
import { acceptedKeys, type SigningKeySource } from '../../shared/domain/site-secret.ts';
import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';

/** Asks another process of this site to send a request over a connection that only it holds (RFC 5626 5.3). */
const HEADER = 'x-lastcall-flow';

/**
 * A connection's token, signed for one Call-ID with the site's secret: nobody outside can name a connection, and what one
 * call shows is of no use for another.
 */
export class FlowHandover {
  readonly #keys: SigningKeySource;

  constructor(keys: SigningKeySource) {
    this.#keys = keys;
  }

  ask(draft: MessageDraft, request: SipRequest, token: string): void {
    draft.set(HEADER, `${token}.${signature(token, request.callId ?? '', this.#keys().current)}`);
  }

  /** The token this process is asked to use; null when it is not asked; undefined when the signature is wrong. */
  asked(request: SipRequest): string | null | undefined {
    const value = request.header(HEADER);
    if (value === undefined) return null;
    const dot = value.lastIndexOf('.');
    const token = value.slice(0, Math.max(0, dot));
    const given = Buffer.from(value.slice(dot + 1));
    const signed = acceptedKeys(this.#keys()).some((key) => {
      const expected = Buffer.from(signature(token, request.callId ?? '', key));
      return given.length === expected.length && timingSafeEqual(given, expected);
    });
    return signed ? token : undefined;
  }

  remove(draft: MessageDraft): void {
    draft.remove(HEADER);
  }
}

function signature(token: string, callId: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(`${token}|${callId}`).digest('base64url').slice(0, 22);
}
