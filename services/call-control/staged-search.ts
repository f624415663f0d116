import type { SipResponse } from '../../shared/sip/message/message.ts';
import type { Forwarding } from '../../shared/sip/proxy/types.ts';
import type { Timer, TimerTask, TimerWheel } from '../../shared/sip/transaction/timer-wheel.ts';
import type { Answer } from '../../shared/sip/transaction/user.ts';
import type { CallTarget, Stages } from './router.ts';
import { saysOffline } from './site-marker.ts';

/** How long a stage may be silent, and who else wants to know of a target that was. */
export interface Silence {
  readonly wheel: TimerWheel;
  readonly nextStageMs: number;
  /** Not even the next hop said that it has the request. */
  readonly onUnheard?: (target: CallTarget) => void;
}

type Asking = Pick<Forwarding<CallTarget>, 'add' | 'giveUp'>;

/**
 * Searches one stage of targets after the other, until somebody is there. A phone that answers is there whatever it
 * answers (F11); a target that is silent, unreachable, or a peer site without the callee is not. A stage that stays
 * silent goes on being asked beside the next, and holds back the answer of nobody.
 */
export class StagedSearch implements TimerTask {
  readonly first: readonly CallTarget[];
  readonly #silence: Silence;
  readonly #later: (readonly CallTarget[])[];
  /** Without a final response yet: all of them, those of the newest stage, those silent for too long. */
  readonly #waiting = new Set<CallTarget>();
  readonly #mute = new Set<CallTarget>();
  #newest = new Set<CallTarget>();
  /** The phone itself is awake; the next hop alone is. */
  readonly #awake = new Set<CallTarget>();
  readonly #taken = new Set<CallTarget>();
  #forwarding: Asking | undefined;
  #timer: Timer | undefined;
  #ended = false;
  #found = false;
  #decided = false;
  #peerReached = false;
  #peersAsked = false;
  #redirect: SipResponse | null = null;

  constructor([first = [], ...later]: Stages, silence: Silence) {
    this.first = first;
    this.#later = later;
    this.#silence = silence;
    this.#note(first);
  }

  /** True when a peer site delivers the call, and so writes the callee's record (R15). */
  get peerReached(): boolean {
    return this.#peerReached;
  }

  /** The first 301 or 302 of a callee's phone, here or at a peer site; a gateway's is its own business. */
  get redirect(): SipResponse | null {
    return this.#redirect;
  }

  /** `first` is being asked by `forwarding`, which asks more when they stay silent. */
  begin(forwarding: Asking): void {
    if (this.#ended) return;
    this.#forwarding = forwarding;
    this.#arm();
  }

  end(): void {
    this.#ended = true;
    this.#silence.wheel.cancel(this.#timer);
    this.#forwarding = undefined;
  }

  /** 100: of a phone it says that the phone is awake; of another server nothing about the phones behind it. */
  trying(target: CallTarget): void {
    this.#taken.add(target);
    if (target.kind === 'binding' && !isHandedOver(target)) this.#awake.add(target);
  }

  /** A provisional response other than 100: a phone rings. */
  heard(target: CallTarget): void {
    this.#found = true;
    this.#awake.add(target);
    this.#mute.delete(target);
    if (target.kind === 'peer') this.#peerReached = true;
  }

  /** One target's final response; none when it was silent or not to be reached. */
  answered(target: CallTarget, response: SipResponse | undefined): void {
    for (const set of [this.#waiting, this.#mute, this.#newest]) set.delete(target);
    this.#judge(target, response);
    if (response !== undefined && response.status < 300) this.end();
    else this.#goOn();
  }

  /** When all targets have failed: the next stage, 480 for a callee whom no site has, or undefined to pass the answer on. */
  next(): readonly CallTarget[] | Answer | undefined {
    if (this.#found) return undefined;
    const stage = this.#later.shift();
    if (stage !== undefined) this.#ask(stage);
    return stage ?? (this.#peersAsked ? { status: 480 } : undefined);
  }

  /** The newest stage had its time. */
  onTimer(): void {
    for (const target of this.#waiting) {
      if (this.#awake.has(target) || this.#mute.has(target)) continue;
      this.#mute.add(target);
      if (!this.#taken.has(target)) this.#silence.onUnheard?.(target);
    }
    this.#newest.clear();
    this.#goOn();
  }

  #judge(target: CallTarget, response: SipResponse | undefined): void {
    if (target.kind === 'peer') this.#peersAsked = true;
    if (response === undefined || isAbsence(response, target)) return;
    this.heard(target);
    this.#decided = true;
    if (!isRedirect(response.status) || (target.kind !== 'binding' && target.kind !== 'peer')) return;
    this.#redirect ??= response;
    // A peer site leaves a call that its phone sends on to the site of the caller.
    if (target.kind === 'peer') this.#peerReached = false;
  }

  /** With nobody left but the silent: their answer is not waited for, or the next stage asked as well. */
  #goOn(): void {
    const onlySilent = this.#waiting.size > 0 && this.#mute.size === this.#waiting.size;
    if (!onlySilent || this.#forwarding === undefined) return;
    if (this.#decided) this.#forwarding.giveUp(new Set(this.#mute));
    else if (!this.#found && this.#newest.size === 0) this.#advance(this.#forwarding);
  }

  #advance(forwarding: Asking): void {
    const stage = this.#later.shift();
    if (stage === undefined) return;
    this.#ask(stage);
    forwarding.add(stage);
  }

  #ask(targets: readonly CallTarget[]): void {
    this.#note(targets);
    if (this.#forwarding !== undefined) this.#arm();
  }

  #note(targets: readonly CallTarget[]): void {
    this.#newest = new Set(targets);
    for (const target of targets) this.#waiting.add(target);
  }

  #arm(): void {
    const { nextStageMs, wheel } = this.#silence;
    wheel.cancel(this.#timer);
    this.#timer = wheel.schedule(nextStageMs, this, 'next-stage');
  }
}

/** RFC 3261 21.3.2, 21.3.3: the callee is to be called elsewhere. */
export const isRedirect = (status: number): boolean => status === 301 || status === 302;

/** A peer site does not know the number yet, does not trust this one, or takes no calls now. */
const NOT_AT_PEER = [401, 404, 407, 503];
/** Another process of this site has other keys, or takes no calls now. */
const NOT_AT_PROCESS = [403, 503];

/** Another process of this site holds the phone's flow. */
export const isHandedOver = ({ kind, nextHop }: CallTarget): boolean =>
  kind === 'binding' && nextHop !== undefined;

/** Only a peer site and another process of this site are believed to speak for absent phones. */
export function isAbsence(response: SipResponse, target: CallTarget): boolean {
  if (target.kind === 'peer') return saysOffline(response) || NOT_AT_PEER.includes(response.status);
  return isHandedOver(target) && (saysOffline(response) || NOT_AT_PROCESS.includes(response.status));
}
