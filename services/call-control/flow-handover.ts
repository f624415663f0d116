import { createHmac, timingSafeEqual } from 'node:crypto';
import { acceptedKeys, type SigningKeySource } from '../../shared/domain/site-secret.ts';
import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';

/** Asks another process of this site to send a request over a flow that only it holds (RFC 5626 5.3). */
const HEADER = 'x-lastcall-flow';
const WINDOW_SECONDS = 30;

/**
 * A flow's token, signed with the site's secret for one request and half a minute: nobody outside can name a flow, and what one
 * request shows is of no use for another.
 */
export class FlowHandover {
  readonly #keys: SigningKeySource;
  readonly #now: () => number;

  /** `now`: milliseconds since 1970. */
  constructor(keys: SigningKeySource, now: () => number = Date.now) {
    this.#keys = keys;
    this.#now = now;
  }

  /** The last edit of all: it signs the copy's Request-URI as it will leave. */
  ask(draft: MessageDraft, token: string): void {
    const seconds = Math.floor(this.#now() / 1000);
    const what = `${token}.${seconds}`;
    const mac = signature(what, draft.startLine, draft, this.#keys().current);
    draft.set(HEADER, `${what}.${mac}`);
  }

  /** The token this process is asked to use; null when it is not asked; undefined when the signature is wrong or old. */
  asked(request: SipRequest): string | null | undefined {
    const value = request.header(HEADER);
    if (value === undefined) return null;
    const [what, mac] = cut(value);
    const [token, seconds] = cut(what);
    if (Math.abs(this.#now() / 1000 - Number(seconds)) > WINDOW_SECONDS) return undefined;
    const given = Buffer.from(mac);
    const startLine = `${request.method} ${request.requestUri} SIP/2.0`;
    const signed = acceptedKeys(this.#keys()).some((key) => {
      const expected = Buffer.from(signature(what, startLine, request, key));
      return given.length === expected.length && timingSafeEqual(given, expected);
    });
    return signed ? token : undefined;
  }

  remove(draft: MessageDraft): void {
    draft.remove(HEADER);
  }
}

/** Before and after the last dot. */
function cut(text: string): readonly [string, string] {
  const dot = text.lastIndexOf('.');
  return [text.slice(0, Math.max(0, dot)), text.slice(dot + 1)];
}

function signature(
  what: string,
  startLine: string,
  message: { header(name: string): string | undefined },
  key: Uint8Array,
): string {
  const text = [what, startLine, message.header('call-id'), message.header('cseq')].join('\n');
  return createHmac('sha256', key).update(text, 'latin1').digest('base64url').slice(0, 22);
}
