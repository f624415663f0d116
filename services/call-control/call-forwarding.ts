import { type FeatureCodes, featureOf } from '../../shared/domain/feature-code.ts';
import { isEmergency, matchesNumber, normaliseNumber } from '../../shared/domain/number.ts';
import type { SipRequest, SipResponse } from '../../shared/sip/message/message.ts';
import { type NameAddr, parseNameAddr } from '../../shared/sip/syntax/name-addr.ts';
import type { Originator } from './originator.ts';
import type { OwnAddresses } from './own-addresses.ts';
import type { Callee, Router, Stages } from './router.ts';
import type { TerminalDirectory } from './terminal-directory.ts';
import { dialedUser } from './user-part.ts';

export interface CallForwardingOptions {
  readonly addresses: OwnAddresses;
  readonly router: Router;
  readonly directory: TerminalDirectory;
  readonly codes: FeatureCodes;
  readonly barred: readonly string[];
  readonly emergency: readonly string[];
}

/** Contacts of one redirect that are looked at: each may cost a lookup. */
const MOST_CONTACTS = 8;

/** Whom a called phone sent its caller to. */
export interface ForwardedTo {
  readonly dialed: string;
  readonly callee: Callee;
  /** Tells two callees apart: the terminal's number however it was dialed, or a URI of another domain. */
  readonly place: string;
  /** Empty: the number is a terminal's, and no phone of it is registered. */
  readonly stages: Stages;
}

/**
 * Reads where a called phone's 301 or 302 sends the call (RFC 3261 16.7 item 4). It may go wherever its caller could have
 * dialed, and nowhere else: a number that the ordinary routing takes, another domain only through the gateway. Never to a
 * star code, an emergency or a barred number, and never twice to the same number or back to the caller.
 */
export class CallForwarding {
  readonly #options: CallForwardingOptions;

  constructor(options: CallForwardingOptions) {
    this.#options = options;
  }

  /** The best Contact that may be called, by `q`; null without one. `passed` are the places that the call has seen. */
  async follow(
    redirect: SipResponse,
    request: SipRequest,
    originator: Originator,
    passed: ReadonlySet<string>,
  ): Promise<ForwardedTo | null> {
    for (const contact of contactsOf(redirect)) {
      const dialed = dialedUser(contact.uri) ?? '';
      if (dialed === '' || this.#isForbidden(contact.uriText, dialed)) continue;
      const found = this.#options.addresses.isOurs(contact.uri)
        ? await this.#toNumber(dialed, request, originator)
        : this.#toDomain(contact.uriText, dialed, request, originator);
      if (found !== null && !passed.has(found.place)) return found;
    }
    return null;
  }

  async #toNumber(dialed: string, request: SipRequest, originator: Originator): Promise<ForwardedTo | null> {
    const { directory, router } = this.#options;
    const callee: Callee = await directory.dialed(dialed).catch(() => 'unreadable');
    const stages = await router.stages(request, dialed, callee, originator);
    if (stages === null || (stages.length === 0 && callee === 'unreadable')) return null;
    const number = callee === null || callee === 'unreadable' ? dialed : callee.number;
    return { dialed, callee, place: normaliseNumber(number), stages };
  }

  #toDomain(uri: string, dialed: string, request: SipRequest, originator: Originator): ForwardedTo | null {
    const way = this.#options.router.toForeign(request, originator, uri);
    return 'refusal' in way ? null : { dialed, callee: null, place: uri, stages: way.stages };
  }

  #isForbidden(uri: string, dialed: string): boolean {
    const { barred, codes, emergency } = this.#options;
    return (
      featureOf(dialed, codes) !== null ||
      matchesNumber(dialed, barred) ||
      isEmergency(uri, dialed, emergency)
    );
  }
}

function contactsOf(redirect: SipResponse): readonly NameAddr[] {
  return redirect
    .values('contact')
    .map(parseNameAddr)
    .filter((contact) => contact !== undefined)
    .toSorted((one, other) => preference(other) - preference(one))
    .slice(0, MOST_CONTACTS);
}

/** RFC 3261 20.10: without `q` as good as any. */
function preference({ parameters }: NameAddr): number {
  const q = Number(parameters.get('q') ?? 1);
  return Number.isNaN(q) ? 0 : q;
}
