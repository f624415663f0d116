import type { MessageDraft } from '../message/draft.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import type { SipServer } from '../server.ts';
import type { Answer } from '../transaction/user.ts';
import type { Flow } from '../transport/flow.ts';

export interface ProxyOptions {
  readonly server: SipServer;
  /** Option tags accepted in Proxy-Require (RFC 3261 16.3 item 5); none unless given. */
  readonly supported?: readonly string[];
  /** Further addresses that mean this server when they stand in a Route, as `host` or `host:port`, e.g. its domain. */
  readonly aliases?: readonly string[];
  /** True for a request that already passed here by another sign than the Via branch, e.g. a header of the owner's. */
  readonly isLooped?: (request: SipRequest) => boolean;
  /** RFC 3261 16.6 item 11, more than 3 minutes; default 185,000. */
  readonly timerCMs?: number;
  /** Pass a downstream 503 on instead of turning it into 500 (RFC 3261 16.7 item 6). Default false. */
  readonly pass503?: boolean;
}

/** One place to send a request to. The owner may add fields of its own; hooks hand the same object back. */
export interface Target {
  /** The new Request-URI. */
  readonly uri: string;
  /** Send over this flow instead of looking the next hop up. A closed flow counts as 430 (RFC 5626 5.3), upstream as 480. */
  readonly flow?: Flow | undefined;
  /** Send to this URI's address without adding a Route (an outbound proxy or peer site). */
  readonly nextHop?: string | undefined;
  /** Route values to push, first hop first, e.g. a binding's Path (RFC 3327 5.3). */
  readonly route?: readonly string[] | undefined;
  /** Changes the copy for this target only, after `ForwardOptions.edit`. */
  readonly edit?: ((draft: MessageDraft) => void) | undefined;
}

/** What became of a forwarded request, decided once. */
export type ForwardOutcome<T extends Target> =
  /** The first 2xx. */
  | { readonly kind: 'answered'; readonly response: SipResponse; readonly target: T }
  /** The best final response, made here when `response` is missing (408, 503, 430 ...). */
  | {
      readonly kind: 'rejected';
      readonly status: number;
      readonly response?: SipResponse;
      readonly target?: T;
    }
  /** CANCEL came before any final response. `elsewhere`: it said that somebody else took the call (RFC 3326). */
  | { readonly kind: 'cancelled'; readonly elsewhere: boolean }
  /** `abandon` was called. */
  | { readonly kind: 'abandoned'; readonly status: number };

/** What to do instead of passing the best response on: try further targets (serial forking), or give this answer. */
export type Instead<T extends Target> = readonly T[] | Answer | undefined;

export interface ForwardOptions<T extends Target> {
  /** All tried at once (parallel forking). Empty answers 480. */
  readonly targets: readonly T[];
  /** Stay in the path of the dialog; default false. */
  readonly recordRoute?: boolean;
  /** Changes every forwarded copy, before Via and Record-Route are added. */
  readonly edit?: (draft: MessageDraft) => void;
  /** Changes every response before it goes upstream. */
  readonly editResponse?: (draft: MessageDraft, response: SipResponse, target: T) => void;
  readonly onProvisional?: (response: SipResponse, target: T) => void;
  /** 100: the next hop has the request, which says nothing of whoever is behind it. */
  readonly onTrying?: (target: T) => void;
  /** A target's own final response, before the best is chosen; without one when it was silent or not to be reached. */
  readonly onTargetFinal?: (status: number, target: T, response: SipResponse | undefined) => void;
  /** No target accepted. A promise keeps the caller waiting; its rejection is reported and counts as undefined. */
  readonly onExhausted?: (bestStatus: number) => Instead<T> | Promise<Instead<T>>;
  readonly onOutcome?: (outcome: ForwardOutcome<T>) => void;
}

/** A request under way (the response context of RFC 3261 16). */
export interface Forwarding<T extends Target> {
  /** Cancels every pending target and answers upstream with this, e.g. 480 after a no-answer time. No effect after a final response. */
  abandon(answer: Answer): void;
  /** Asks further targets while others are pending. No effect once all are done or the caller has given up. */
  add(targets: readonly T[]): void;
  /** Waits no longer for these of the pending targets: each counts as silent (408), and is cancelled should it speak. */
  giveUp(targets: ReadonlySet<T>): void;
}

/** What RFC 3261 16.4 makes of a request's Route set. */
export interface Routing {
  /**
   * `dialog`: a Record-Route value that this server signed for this Call-ID brought the request: forward it to `target`.
   * `preloaded`: the sender's own Route leads on to another server: authenticate, then forward to `target`.
   * `none`: the owner decides by the Request-URI; a Route that only named this server is taken off when forwarding.
   */
  readonly kind: 'dialog' | 'preloaded' | 'none';
  /** The Request-URI after strict-routing repair, with the flow that this server's own Route named. */
  readonly target: Target;
  /** How many Route values at the top are this server's. */
  readonly ownRoutes: number;
  /** A strict router sent this: `target.uri` stood at the end of its Route set. */
  readonly strict: boolean;
}
