import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';

/** The sites that a request has passed, in order, signed. Written when it leaves for a peer site, for that site alone. */
const MARKER = 'x-lastcall-sites';
/** On a 480 to a peer site or process: the callee is not registered here, so nobody has recorded the call yet. */
const OFFLINE = 'x-lastcall-offline';

const WINDOW_SECONDS = 30;
const MOST_NONCES = 100_000;
const FORM =
  /^([a-z0-9_]{1,16}(?: [a-z0-9_]{1,16}){0,31});time=([0-9]{10});nonce=([\w-]{16});mac=([\w-]{22})$/;

export interface SiteMarkerOptions {
  readonly site: string;
  /** The same at every site; null: no other site is known, and none is believed. */
  readonly key: string | null;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What the marker of a request proves; `sites` of none is empty. The reason says why a marker was not believed. */
export type MarkerReading =
  | { readonly kind: 'none' }
  | { readonly kind: 'genuine'; readonly sites: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: 'malformed' | 'forged' | 'expired' | 'replayed' };

/**
 * How sites prove themselves to each other (G5): by a key of the system, over what the request asks for and whom it is from,
 * with a time and a nonce, so that a recorded one serves nobody. A source address proves nothing.
 */
export class SiteMarker {
  readonly #options: SiteMarkerOptions;
  /** Nonces seen, with the second from which they could not be used anyway. */
  readonly #nonces = new Map<string, number>();

  constructor(options: SiteMarkerOptions) {
    this.#options = options;
  }

  /** Marks a copy for a peer site. The last edit of all: it signs the copy as it will leave. */
  mark(draft: MessageDraft, passed: readonly string[]): void {
    const { key, now, site } = this.#options;
    if (key === null) return;
    const [method = '', uri = ''] = draft.startLine.split(' ');
    const claim = {
      sites: [...passed, site].join(' '),
      time: String(Math.floor(now() / 1000)),
      nonce: randomBytes(12).toString('base64url'),
    };
    const signed = signature(key, claim, method, uri, draft);
    draft.set(MARKER, `${claim.sites};time=${claim.time};nonce=${claim.nonce};mac=${signed}`);
  }

  /** Reads and uses up the marker of a request that comes in. */
  read(request: SipRequest): MarkerReading {
    const value = request.header(MARKER);
    const { key } = this.#options;
    if (value === undefined || key === null) return { kind: 'none' };
    const form = FORM.exec(value);
    if (form === null) return { kind: 'refused', reason: 'malformed' };
    const [, sites = '', time = '', nonce = '', mac = ''] = form;
    const expected = signature(key, { sites, time, nonce }, request.method, request.requestUri, request);
    if (!timingSafeEqual(Buffer.from(mac), Buffer.from(expected)))
      return { kind: 'refused', reason: 'forged' };
    const nowSeconds = Math.floor(this.#options.now() / 1000);
    if (Math.abs(nowSeconds - Number(time)) > WINDOW_SECONDS) return { kind: 'refused', reason: 'expired' };
    if (!this.#isFresh(nonce, nowSeconds)) return { kind: 'refused', reason: 'replayed' };
    return { kind: 'genuine', sites: sites.split(' ') };
  }

  #isFresh(nonce: string, nowSeconds: number): boolean {
    for (const [seen, untilSeconds] of this.#nonces) {
      if (untilSeconds >= nowSeconds && this.#nonces.size < MOST_NONCES) break;
      this.#nonces.delete(seen);
    }
    if (this.#nonces.has(nonce)) return false;
    this.#nonces.set(nonce, nowSeconds + 2 * WINDOW_SECONDS);
    return true;
  }
}

interface Claim {
  readonly sites: string;
  readonly time: string;
  readonly nonce: string;
}

/** What of a message is signed; a draft and the request that it becomes read the same. */
interface Signed {
  header(name: string): string | undefined;
  values(name: string): readonly string[];
}

function signature(
  key: string,
  { nonce, sites, time }: Claim,
  method: string,
  uri: string,
  of: Signed,
): string {
  const parts = [sites, time, nonce, method, uri, ...SIGNED.map((name) => of.header(name) ?? '')];
  for (const name of SIGNED_LISTS)
    parts.push(
      of
        .values(name)
        .filter((value) => value !== '')
        .join(','),
    );
  return createHmac('sha256', key).update(parts.join('\n'), 'latin1').digest('base64url').slice(0, 22);
}

const SIGNED = ['call-id', 'cseq', 'from'];
const SIGNED_LISTS = ['p-asserted-identity', 'privacy', 'diversion', 'history-info'];

export const offlineHeader = (site: string): readonly [string, string] => [OFFLINE, site];

/** Only of a peer site's answer, or of another process of this site. */
export function saysOffline(response: { header(name: string): string | undefined } | undefined): boolean {
  return response?.header(OFFLINE) !== undefined;
}
