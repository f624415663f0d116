import type { MessageDraft } from '../message/draft.ts';
import type { SipResponse } from '../message/message.ts';
import type { SipServer } from '../server.ts';
import type { Answer } from '../transaction/user.ts';
import type { Flow } from '../transport/flow.ts';
import type { DialogSide, DialogTicket } from './dialog-ticket.ts';
import type { DialogsOptions } from './dialogs.ts';

/** Whether host and port, as a URI writes them, are this server's. */
export type IsOwn = (host: string, port: number | undefined) => boolean;

export interface ProxyOptions {
  readonly server: SipServer;
  /** Option tags accepted in Proxy-Require (RFC 3261 16.3 item 5); none unless given. */
  readonly supported?: readonly string[];
  /** Further addresses that mean this server when they stand in a Route, e.g. its domain; those it listens on always do. */
  readonly isOwn?: IsOwn;
  /** Addresses of the networks whose proxies may send from any of them within a dialog; none unless given. */
  readonly isTrusted?: DialogsOptions['isTrusted'];
  /** How long a dialog may last; default 24 hours. */
  readonly dialogLifetimeSeconds?: number;
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
  /** Who the called party is, for the dialog's ticket. */
  readonly party?: string | undefined;
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
  /** Who the sender has proved to be, for the dialog's ticket: a party that moved proves it again. */
  readonly party?: string | undefined;
  /** Changes every forwarded copy, before Via and Record-Route are added. */
  readonly edit?: (draft: MessageDraft) => void;
  /** Changes every response before it goes upstream. */
  readonly editResponse?: (draft: MessageDraft, response: SipResponse, target: T) => void;
  readonly onProvisional?: (response: SipResponse, target: T) => void;
  /** 100: the next hop has the request, which says nothing of whoever is behind it. */
  readonly onTrying?: (target: T) => void;
  /** A target's own final response, before the best is chosen; without one when it was silent or not to be reached. */
  readonly onTargetFinal?: (status: number, target: T, response: SipResponse | undefined) => void;
  /** That this response says nothing but that the callee is not there: it is chosen when nobody else answered. */
  readonly isAbsence?: (response: SipResponse, target: T) => boolean;
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
export type Routing = (
  | {
      /** A ticket of this server's Record-Route brought the request: {@link Dialogs} decides. */
      readonly kind: 'dialog';
      readonly ticket: DialogTicket;
      readonly from: DialogSide;
    }
  /** The sender's own Route leads on to another server: only for whom the owner trusts. */
  | { readonly kind: 'preloaded' }
  /** The owner decides by the Request-URI; a Route that only named this server is taken off when forwarding. */
  | { readonly kind: 'none' }
) & {
  /** The Request-URI after strict-routing repair. */
  readonly uri: string;
  /** How many Route values at the top are this server's. */
  readonly ownRoutes: number;
  /** A strict router sent this: `uri` stood at the end of its Route set. */
  readonly strict: boolean;
};
