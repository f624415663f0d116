import { type Caller, type CallerClaims, callerOf } from '../../shared/domain/caller.ts';
import type { Asker } from '../../shared/domain/gate.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';

/** What a request proves before anything is looked up: its site's key, or the network that it comes from. */
export interface Sender {
  readonly asker: Extract<Asker, 'stranger' | 'proxy' | 'peer'>;
  /** The sites that the request has passed; not empty for one from a peer site. */
  readonly sitesPassed: readonly string[];
}

/** Who sent a request, once that is proven. */
export interface Originator {
  readonly asker: Extract<Asker, 'terminal' | 'proxy' | 'peer'>;
  /** The calling terminal: by its digest, or by the identity that a trusted sender asserts. Null: none of ours. */
  readonly terminal: StoredTerminal | null;
  readonly claims: CallerClaims;
  /** A proxy, gateway or peer site whose assertions are believed. */
  readonly trusted: boolean;
  /** The sites that the call has passed; not empty for a call from a peer site. */
  readonly sitesPassed: readonly string[];
}

/** The sender's name in a dialog's ticket: who moves to another address proves to be it again. */
export const partyOf = ({ terminal }: Originator): string | undefined =>
  terminal === null ? undefined : String(terminal.terminalId);

/** R5, R7, with what a redialed call asked for (F16). */
export function callerWith(originator: Originator, privacy: readonly string[]): Caller {
  return callerOf({ ...originator.claims, privacy });
}
