import { randomBytes } from 'node:crypto';
import type { SipRequest, SipResponse } from '../message/message.ts';
import type { SipServer } from '../server.ts';
import type { Answer } from '../transaction/user.ts';
import type { Flow } from '../transport/flow.ts';
import {
  adoptedEntry,
  type DialogEntry,
  type DialogParty,
  fitsTags,
  holderOf,
  hostOf,
  learnTag,
  learnTarget,
  newEntry,
  routeKeys,
  targetKey,
} from './dialog-entry.ts';
import {
  type DialogEnd,
  type DialogSide,
  type DialogTicket,
  NOBODY,
  otherSide,
  partyMark,
  TicketOffice,
} from './dialog-ticket.ts';

/** What a request asks of its dialog. */
export interface DialogRequest {
  readonly request: SipRequest;
  readonly source: Flow;
  /** The ticket in this server's Route, and whose side its holder speaks for. */
  readonly ticket: DialogTicket;
  readonly from: DialogSide;
  /** The Request-URI, after strict-routing repair. */
  readonly uri: string;
  /** The Route values that lead on from here. */
  readonly onward: readonly string[];
  /** Who the sender has proved to be. */
  readonly proven?: string | undefined;
}

export type DialogVerdict =
  | { readonly kind: 'pass'; readonly flow: Flow }
  /** It comes from elsewhere than the party's flow: let the sender prove to be that party. */
  | { readonly kind: 'prove' }
  | { readonly kind: 'refuse'; readonly answer: Answer };

export interface DialogsOptions {
  readonly server: SipServer;
  readonly lifetimeSeconds: number;
  /** Addresses that one trusted proxy may send from, this time or another. */
  readonly isTrusted: (flow: Pick<Flow, 'transport' | 'remoteAddress' | 'remotePort'>) => boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const EARLY_MS = 240_000;
/** A late 2xx may still come (RFC 3261 13.3.1.4: 64 T1). */
const FAILED_MS = 40_000;
const SWEEP_MS = 10_000;
const MOST_DIALOGS = 200_000;

const gone: DialogVerdict = { kind: 'refuse', answer: { status: 481 } };
const elsewhere: DialogVerdict = { kind: 'refuse', answer: { status: 403, reason: 'Route Not Allowed' } };
const unreachable: DialogVerdict = { kind: 'refuse', answer: { status: 480 } };

/**
 * The dialogs that were set up through this server (G3). A ticket alone says whose flows they are; what this process has seen of
 * a dialog narrows it further: its tags, its targets, its routes, and that it is over. A ticket of this process without an entry
 * is over; one of before a restart, or of another process, is judged by itself.
 */
export class Dialogs {
  readonly #options: DialogsOptions;
  readonly #office: TicketOffice;
  readonly #instance: string;
  readonly #entries = new Map<string, DialogEntry>();
  #sweptAtMs = 0;

  constructor(options: DialogsOptions) {
    this.#options = options;
    this.#instance = newInstance(options.server.processIndex);
    this.#office = new TicketOffice(options.server.keys, this.#instance);
  }

  /** Dialogs known here, early ones included. */
  get size(): number {
    return this.#entries.size;
  }

  /** A ticket for one branch of a request that founds a dialog. `routesBelow`: Record-Routes that it came with. */
  open(request: SipRequest, caller: DialogEnd, callee: DialogEnd): string {
    const nowMs = this.#options.now();
    const { callId = '', from } = request;
    const ticket = this.#office.mint(callId, from?.tag ?? '', caller, callee, Math.floor(nowMs / 1000));
    const standing = this.#entries.get(ticket.text);
    if (standing !== undefined) standing.pending++;
    else this.#keep(ticket.text, newEntry(request, ticket, nowMs + EARLY_MS));
    return ticket.text;
  }

  /** Whose ticket stands in the user part of this server's Route, and which side sends; undefined when it is none for this dialog. */
  read(
    user: string,
    request: SipRequest,
  ): { readonly ticket: DialogTicket; readonly from: DialogSide } | undefined {
    const { callId = '', from, to } = request;
    if (to?.tag === undefined) return undefined;
    const entry = this.#entries.get(user);
    const holder = entry && holderOf(entry, request);
    if (holder !== undefined && entry?.minted !== undefined)
      return { ticket: entry.minted.ticket, from: holder };
    const ofCaller = this.#office.read(user, callId, from?.tag ?? '');
    if (ofCaller !== undefined) return { ticket: ofCaller, from: 'caller' };
    const ofCallee = this.#office.read(user, callId, to.tag);
    return ofCallee === undefined ? undefined : { ticket: ofCallee, from: 'callee' };
  }

  /** The gate of a dialog: from one of its two flows to the other, and nowhere else. */
  admit(asked: DialogRequest): DialogVerdict {
    const { from, onward, source, ticket, uri } = asked;
    const nowMs = this.#options.now();
    if (nowMs / 1000 - ticket.mintedAtSeconds > this.#options.lifetimeSeconds) return gone;
    const entry = this.#entries.get(ticket.text);
    if (entry === undefined ? ticket.instance === this.#instance : entry.ended) return gone;
    if (entry !== undefined && !fitsTags(entry, from, asked.request)) return gone;
    if (!this.#isFrom(ticket[from], entry?.[from].flow, source)) {
      const { proven } = asked;
      if (proven === undefined) return { kind: 'prove' };
      if (ticket[from].party === NOBODY || ticket[from].party !== partyMark(proven)) return gone;
      this.#moved(ticket, from, source);
    }
    const to = otherSide(from);
    const party = entry?.[to];
    if (party !== undefined && party.targets.length > 0 && !party.targets.includes(targetKey(uri)))
      return gone;
    if (!this.#mayFollow(onward, ticket[to], party)) return elsewhere;
    const flow = this.#flowTo(ticket[to], party?.flow);
    if (flow === undefined) return unreachable;
    if (entry !== undefined) learnTarget(entry[from], asked.request);
    return { kind: 'pass', flow };
  }

  /** A response to a request of that ticket: it tells tags, targets and routes, and an early dialog goes on. */
  heard(ticket: string, from: DialogSide, response: SipResponse): void {
    const { status } = response;
    if (status === 100 || status >= 300) return;
    const entry = this.#entries.get(ticket);
    if (entry === undefined) return;
    const party = entry[otherSide(from)];
    const tag = from === 'caller' ? response.to?.tag : undefined;
    if (tag !== undefined) learnTag(party, tag);
    learnTarget(party, response);
    if (!entry.confirmed) entry.expiresAtMs = this.#options.now() + EARLY_MS;
  }

  /** The founding request's final response on one branch. */
  concluded(ticket: string, accepted: boolean): void {
    const entry = this.#entries.get(ticket);
    if (entry === undefined) return;
    entry.pending--;
    if (accepted) {
      entry.confirmed = true;
      entry.expiresAtMs = this.#lastsUntilMs();
    } else if (!entry.confirmed && entry.pending <= 0) entry.expiresAtMs = this.#options.now() + FAILED_MS;
  }

  /** Routes of the callee's side, from a response to the founding request: what stands above the `own` values of this server. */
  learnRoutes(ticket: string, response: SipResponse, own: number): void {
    const entry = this.#entries.get(ticket);
    if (entry === undefined || response.indexOf('record-route') < 0) return;
    const all = routeKeys(response.values('record-route'));
    const above = all.length - own - (entry.caller.routes?.length ?? 0);
    if (above >= 0) entry.callee.routes = all.slice(0, above).reverse();
  }

  /** A ticket of another process is remembered as used up; one of this process has no entry any more. */
  end(ticket: string): void {
    if (this.#isOwn(ticket)) this.#entries.delete(ticket);
    else this.#keep(ticket, { ...adoptedEntry(this.#lastsUntilMs()), ended: true });
  }

  /** True for a BYE, and for the last NOTIFY of a subscription that no call carries (RFC 6665 4.4.1). */
  endsWith(ticket: string, request: SipRequest): boolean {
    if (request.method === 'BYE') return true;
    if (request.method !== 'NOTIFY' || this.#entries.get(ticket)?.byInvite !== false) return false;
    return request.header('subscription-state')?.toLowerCase().startsWith('terminated') ?? false;
  }

  #keep(ticket: string, entry: DialogEntry): void {
    this.#sweep();
    this.#entries.set(ticket, entry);
    if (this.#entries.size <= MOST_DIALOGS) return;
    const oldest = this.#entries.keys().next().value;
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  #sweep(): void {
    const nowMs = this.#options.now();
    if (nowMs - this.#sweptAtMs < SWEEP_MS) return;
    this.#sweptAtMs = nowMs;
    for (const [ticket, entry] of this.#entries) if (entry.expiresAtMs <= nowMs) this.#entries.delete(ticket);
  }

  #isOwn(ticket: string): boolean {
    return Buffer.from(ticket, 'base64url').toString('hex', 0, 4) === this.#instance;
  }

  #lastsUntilMs(): number {
    return this.#options.now() + this.#options.lifetimeSeconds * 1000;
  }

  #moved(ticket: DialogTicket, side: DialogSide, flow: Flow): void {
    let entry = this.#entries.get(ticket.text);
    if (entry === undefined) {
      entry = adoptedEntry(this.#lastsUntilMs());
      this.#keep(ticket.text, entry);
    }
    entry[side].flow = flow;
  }

  /** The party's own flow; of a trusted proxy any address of the trusted networks. */
  #isFrom(end: DialogEnd, moved: Flow | undefined, source: Flow): boolean {
    if (moved !== undefined && isSameFlow(moved, source)) return true;
    if (end.token === null ? isAt(end, source) : isConnectedFrom(end, source)) return true;
    const { isTrusted } = this.#options;
    const was = { transport: end.transport, remoteAddress: end.address, remotePort: end.port };
    return isTrusted(was) && isTrusted(source);
  }

  #flowTo(end: DialogEnd, moved: Flow | undefined): Flow | undefined {
    if (moved?.open) return moved;
    const { server } = this.#options;
    if (end.token !== null) {
      const flow = server.flow(end.token);
      if (flow?.open) return flow;
      if (!end.reopens) return undefined;
    }
    return server.flowFrom(end.transport, end.localPort, end.address, end.port);
  }

  /** Exactly the routes that the dialog was set up with; unknown here, the nearest must name whom the flow leads to. */
  #mayFollow(onward: readonly string[], end: DialogEnd, party: DialogParty | undefined): boolean {
    const [nearest] = onward;
    if (nearest === undefined) return true;
    if (party?.routes !== undefined) return routeKeys(onward).join() === party.routes.join();
    const host = hostOf(nearest);
    if (host === end.address) return true;
    return this.#options.isTrusted({ transport: 'udp', remoteAddress: host, remotePort: 0 });
  }
}

/** Of several processes behind one address the first byte says which: they hand its requests on to it. */
function newInstance(processIndex: number | undefined): string {
  const bytes = randomBytes(4);
  if (processIndex !== undefined) bytes.writeUInt8(processIndex, 0);
  return bytes.toString('hex');
}

const isAt = (end: DialogEnd, source: Flow): boolean =>
  source.transport === end.transport &&
  source.remoteAddress === end.address &&
  source.remotePort === end.port &&
  source.listener.port === end.localPort;

/** Its connection; where this server connects to, any from that address: the other side may open its own. */
const isConnectedFrom = (end: DialogEnd, source: Flow): boolean =>
  source.reliable && (source.token === end.token || (end.reopens && source.remoteAddress === end.address));

const isSameFlow = (one: Flow, other: Flow): boolean =>
  one.reliable
    ? one === other || one.token === other.token
    : !other.reliable &&
      one.remoteAddress === other.remoteAddress &&
      one.remotePort === other.remotePort &&
      one.listener === other.listener;
