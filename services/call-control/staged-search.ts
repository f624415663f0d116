import type { SipResponse } from '../../shared/sip/message/message.ts';
import type { Answer } from '../../shared/sip/transaction/user.ts';
import type { CallTarget, Stages } from './router.ts';
import { saysOffline } from './site-marker.ts';

/**
 * Searches one stage of targets after the other, until somebody is there. A phone that answers is there whatever it
 * answers (F11); a target that is silent, unreachable, or a peer site without the callee is not.
 */
export class StagedSearch {
  readonly #later: (readonly CallTarget[])[];
  #found = false;
  #peerReached = false;
  #peersAsked = false;
  #redirect: SipResponse | null = null;

  constructor(later: Stages) {
    this.#later = [...later];
  }

  /** True when a peer site delivers the call, and so writes the callee's record (R15). */
  get peerReached(): boolean {
    return this.#peerReached;
  }

  /** The first 301 or 302 of a callee's phone, here or at a peer site; a gateway's is its own business. */
  get redirect(): SipResponse | null {
    return this.#redirect;
  }

  /** A provisional response other than 100: a phone rings. */
  heard(target: CallTarget): void {
    this.#found = true;
    if (target.kind === 'peer') this.#peerReached = true;
  }

  /** One target's final response; none when it was silent or not to be reached. */
  answered(target: CallTarget, response: SipResponse | undefined): void {
    if (target.kind === 'peer') this.#peersAsked = true;
    if (response === undefined || isNotThere(response, target)) return;
    this.heard(target);
    if (!isRedirect(response.status) || (target.kind !== 'binding' && target.kind !== 'peer')) return;
    this.#redirect ??= response;
    // A peer site leaves a call that its phone sends on to the site of the caller.
    if (target.kind === 'peer') this.#peerReached = false;
  }

  /** When a stage has failed: the next one, 480 for a callee whom no site has, or undefined to pass the answer on. */
  next(): readonly CallTarget[] | Answer | undefined {
    if (this.#found) return undefined;
    return this.#later.shift() ?? (this.#peersAsked ? { status: 480 } : undefined);
  }
}

/** RFC 3261 21.3.2, 21.3.3: the callee is to be called elsewhere. */
export const isRedirect = (status: number): boolean => status === 301 || status === 302;

/** A peer site does not know the number yet, does not trust this one, or takes no calls now. */
const NOT_AT_PEER = [401, 404, 407, 503];

function isNotThere(response: SipResponse, { kind }: CallTarget): boolean {
  return saysOffline(response) || (kind === 'peer' && NOT_AT_PEER.includes(response.status));
}
