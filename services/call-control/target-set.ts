import type { CallFacts } from '../../shared/domain/last-call-record.ts';
import { normaliseNumber } from '../../shared/domain/number.ts';
import type { SipRequest, SipResponse } from '../../shared/sip/message/message.ts';
import type { Forwarding, Instead } from '../../shared/sip/proxy/types.ts';
import type { CallForwarding, ForwardedTo } from './call-forwarding.ts';
import type { Originator } from './originator.ts';
import type { CallTarget, Stages } from './router.ts';
import { isRedirect, type Silence, StagedSearch } from './staged-search.ts';
import { bounded } from './user-part.ts';

export interface TargetSetOptions {
  readonly forwarding: CallForwarding;
  readonly request: SipRequest;
  readonly originator: Originator;
  /** What the call leaves behind at the terminal that was dialed. */
  readonly facts: CallFacts;
  readonly stages: Stages;
  readonly silence: Silence;
  /** A target as the call sends to it; `diverters` sent the call on, the first one first. */
  readonly dress: (target: CallTarget, diverters: readonly string[]) => CallTarget;
}

/** How often one call may be sent on. */
const MOST_FORWARDS = 5;

/**
 * A call's target set (RFC 3261 16.5), with what redirections add to it (16.7 step 4): the terminals that the call is for,
 * one after the other. First the one dialed, then whom each sends the call on to with 301 or 302, once none of its phones
 * took it (R9). The last one is the callee, and its groups name who sent the call on (R6).
 * Those before it have missed nothing, their call went on; a terminal whose 302 is not followed has missed the call, and
 * the 302 passes upstream as any answer does (F11). The site of the caller follows: a call from a peer site goes back to it.
 */
export class TargetSet {
  readonly #options: TargetSetOptions;
  readonly #passed: Set<string>;
  readonly #diverters: string[] = [];
  readonly #first: readonly CallTarget[];
  #forwarding: Forwarding<CallTarget> | undefined;
  #search: StagedSearch;
  #facts: CallFacts;

  constructor(options: TargetSetOptions) {
    this.#options = options;
    const { facts, originator, silence, stages } = options;
    this.#facts = facts;
    this.#passed = new Set([normaliseNumber(facts.dialed)]);
    for (const party of [facts.to, originator.terminal])
      if (party !== null) this.#passed.add(normaliseNumber(party.number));
    this.#search = new StagedSearch(this.#dressed(stages), silence);
    this.#first = this.#search.first;
  }

  get firstTargets(): readonly CallTarget[] {
    return this.#first;
  }

  /** What the call leaves behind at its present callee. */
  get facts(): CallFacts {
    return this.#facts;
  }

  /** R15: true when a peer site delivers the call and so writes the callee's record. */
  get peerReached(): boolean {
    return this.#search.peerReached;
  }

  /** The first targets are being asked. */
  begin(forwarding: Forwarding<CallTarget>): void {
    this.#forwarding = forwarding;
    this.#search.begin(forwarding);
  }

  end(): void {
    this.#search.end();
  }

  trying(target: CallTarget): void {
    this.#search.trying(target);
  }

  heard(target: CallTarget): void {
    this.#search.heard(target);
  }

  answered(target: CallTarget, response: SipResponse | undefined): void {
    this.#search.answered(target, response);
  }

  /** When all targets have failed: where else to try, or an answer, or undefined to pass on the best that came. */
  next(bestStatus: number): Instead<CallTarget> | Promise<Instead<CallTarget>> {
    const { redirect } = this.#search;
    const mayFollow =
      this.#options.originator.sitesPassed.length === 0 && this.#diverters.length < MOST_FORWARDS;
    return redirect !== null && isRedirect(bestStatus) && mayFollow
      ? this.#follow(redirect)
      : this.#search.next();
  }

  async #follow(redirect: SipResponse): Promise<Instead<CallTarget>> {
    const { forwarding, originator, request } = this.#options;
    const onward = await forwarding.follow(redirect, request, originator, this.#passed);
    if (onward === null) return undefined;
    this.#passed.add(onward.place);
    this.#diverters.push(this.#facts.dialed);
    this.#facts = forwardedFacts(this.#facts, onward);
    this.#search.end();
    this.#search = new StagedSearch(this.#dressed(onward.stages), this.#options.silence);
    if (this.#forwarding !== undefined) this.#search.begin(this.#forwarding);
    return onward.stages.length > 0 ? this.#search.first : { status: 480 };
  }

  #dressed(stages: Stages): Stages {
    const diverters = [...this.#diverters];
    return stages.map((stage) => stage.map((target) => this.#options.dress(target, diverters)));
  }
}

/** R6: the caller stays the caller. */
function forwardedFacts(facts: CallFacts, { callee, dialed }: ForwardedTo): CallFacts {
  const to = callee === 'unreadable' ? null : callee;
  return {
    ...facts,
    to,
    dialed: bounded(dialed),
    dialedNumberId: to?.numberId ?? null,
    forwardedBy: facts.dialed,
    originalCalled: facts.originalCalled ?? facts.dialed,
  };
}
