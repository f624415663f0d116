import type { SipMessage, SipRequest } from '../message/message.ts';
import { flattened, unescaped } from '../syntax/lexical.ts';
import { parseNameAddr } from '../syntax/name-addr.ts';
import { parseUri } from '../syntax/uri.ts';
import type { Flow } from '../transport/flow.ts';
import type { DialogSide, DialogTicket } from './dialog-ticket.ts';

/** What this process knows of one party. */
export interface DialogParty {
  readonly tags: string[];
  /** Remote targets, the latest last: a refresh may cross with a request. */
  readonly targets: string[];
  /** Routes beyond this server towards the party; undefined until a response tells. */
  routes: readonly string[] | undefined;
  /** Where a party that moved proved to be. */
  flow: Flow | undefined;
}

/** What this process knows of one dialog. */
export interface DialogEntry {
  /** As this process minted it; undefined for another's. */
  readonly minted: { readonly ticket: DialogTicket; readonly callId: string } | undefined;
  readonly caller: DialogParty;
  readonly callee: DialogParty;
  readonly byInvite: boolean;
  pending: number;
  confirmed: boolean;
  ended: boolean;
  expiresAtMs: number;
}

const MOST_TARGETS = 4;
const MOST_TAGS = 16;

/** Of a request that founds a dialog. */
export function newEntry(request: SipRequest, ticket: DialogTicket, expiresAtMs: number): DialogEntry {
  const caller = newParty();
  caller.tags.push(flattened(request.from?.tag ?? ''));
  caller.routes = routeKeys(request.values('record-route'));
  learnTarget(caller, request);
  return {
    minted: { ticket, callId: flattened(request.callId ?? '') },
    caller,
    callee: newParty(),
    byInvite: request.method === 'INVITE',
    pending: 1,
    confirmed: false,
    ended: false,
    expiresAtMs,
  };
}

/** Of a dialog that another process set up, or this one before it started anew. */
export const adoptedEntry = (expiresAtMs: number): DialogEntry => ({
  minted: undefined,
  caller: newParty(),
  callee: newParty(),
  byInvite: true,
  pending: 0,
  confirmed: true,
  ended: false,
  expiresAtMs,
});

const newParty = (): DialogParty => ({ tags: [], targets: [], routes: undefined, flow: undefined });

/** Whose side speaks that holds this dialog's ticket: RFC 3261 12.2, by Call-ID and the caller's tag. Undefined: not known here. */
export function holderOf({ caller, minted }: DialogEntry, request: SipRequest): DialogSide | undefined {
  if (minted === undefined || request.callId !== minted.callId) return undefined;
  const [callerTag] = caller.tags;
  if (request.from?.tag === callerTag) return 'caller';
  return request.to?.tag === callerTag ? 'callee' : undefined;
}

/**
 * The callee's tag must be one that it has shown: a caller to whom nobody has answered has no dialog yet. Before the first 2xx
 * a NOTIFY may be the first to show it (RFC 6665 4.4.1).
 */
export function fitsTags(entry: DialogEntry, from: DialogSide, request: SipRequest): boolean {
  const tag = (from === 'caller' ? request.to?.tag : request.from?.tag) ?? '';
  const { tags } = entry.callee;
  if (tags.includes(tag)) return true;
  return entry.confirmed ? tags.length === 0 : from === 'callee';
}

/** RFC 3261 12.2.1.2, RFC 3311 5: the Contact of requests and responses is the remote target from then on. */
export function learnTarget(party: DialogParty, message: SipMessage): void {
  const contact = message.indexOf('contact') < 0 ? undefined : message.values('contact')[0];
  const address = contact === undefined ? undefined : parseNameAddr(contact);
  if (address !== undefined) learn(party.targets, targetKey(address.uriText), MOST_TARGETS);
}

export const learnTag = ({ tags }: DialogParty, tag: string): void => learn(tags, tag, MOST_TAGS);

function learn(known: string[], value: string, most: number): void {
  const at = known.indexOf(value);
  if (at >= 0 && at === known.length - 1) return;
  if (at >= 0) known.splice(at, 1);
  known.push(flattened(value));
  if (known.length > most) known.shift();
}

/** User, host and port: what decides whom a URI names, whatever its parameters say. */
export function targetKey(uriText: string): string {
  const uri = parseUri(uriText);
  if (uri?.kind !== 'sip') return uriText;
  const user = uri.user === undefined ? '' : (unescaped(uri.user) ?? uri.user);
  return `${user}@${uri.host}:${uri.port ?? ''}`;
}

export const routeKeys = (values: readonly string[]): readonly string[] =>
  values.map((value) => targetKey(parseNameAddr(value)?.uriText ?? value));

/** Of a Route value, without the brackets of IPv6; empty for what is no SIP URI. */
export function hostOf(route: string): string {
  const uri = parseNameAddr(route)?.uri;
  return uri?.kind === 'sip' ? uri.host.replace(/^\[|\]$/g, '') : '';
}
