import type { MessageDraft } from '../message/draft.ts';
import type { SipRequest } from '../message/message.ts';
import { type NameAddr, parseNameAddr } from '../syntax/name-addr.ts';
import type { Uri } from '../syntax/uri.ts';
import type { Dialogs } from './dialogs.ts';
import type { IsOwn, Routing } from './types.ts';

/** Reads Route sets for one server (RFC 3261 16.4). */
export class RouteReader {
  readonly #dialogs: Dialogs;
  readonly #isOwn: IsOwn;
  /** Of the request read last: it is asked for several times while the request is handled. */
  #read: { readonly request: SipRequest; readonly routing: Routing } | undefined;

  constructor(dialogs: Dialogs, isOwn: IsOwn) {
    this.#dialogs = dialogs;
    this.#isOwn = isOwn;
  }

  routing(request: SipRequest): Routing {
    if (request.indexOf('route') < 0)
      return { kind: 'none', uri: request.requestUri, ownRoutes: 0, strict: false };
    if (this.#read?.request !== request) this.#read = { request, routing: this.#routing(request) };
    return this.#read.routing;
  }

  #routing(request: SipRequest): Routing {
    const routes = this.routes(request);
    const strictUri = this.#strictUri(request, routes);
    const last = strictUri === undefined ? routes.length : routes.length - 1;
    let ownRoutes = 0;
    while (ownRoutes < last && this.#isOwnUri(routes[ownRoutes]?.uri)) ownRoutes++;
    const nearest =
      ownRoutes > 0 ? routes[ownRoutes - 1]?.uri : strictUri === undefined ? undefined : request.uri;
    const user = nearest?.kind === 'sip' ? nearest.user : undefined;
    const held = user === undefined ? undefined : this.#dialogs.read(user, request);
    const common = { uri: strictUri ?? request.requestUri, ownRoutes, strict: strictUri !== undefined };
    if (held !== undefined) return { kind: 'dialog', ...held, ...common };
    return { kind: ownRoutes < last ? 'preloaded' : 'none', ...common };
  }

  /** The request's Route values; validation has seen to it that they parse. */
  routes(request: SipRequest): readonly NameAddr[] {
    const routes: NameAddr[] = [];
    for (const value of request.values('route')) {
      const route = parseNameAddr(value);
      if (route !== undefined) routes.push(route);
    }
    return routes;
  }

  /** The Route values that lead on from here. */
  onward(request: SipRequest): readonly string[] {
    if (request.indexOf('route') < 0) return [];
    const { ownRoutes, strict } = this.routing(request);
    const routes = this.routes(request).map((route) => route.uriText);
    return routes.slice(ownRoutes, strict ? -1 : undefined);
  }

  /** A strict router put our Record-Route into the Request-URI and the real one last (RFC 3261 16.4, 16.12.1.2). */
  #strictUri(request: SipRequest, routes: readonly NameAddr[]): string | undefined {
    const { uri } = request;
    if (uri?.kind !== 'sip' || !uri.parameters.has('lr') || !this.#isOwnUri(uri)) return undefined;
    return routes.at(-1)?.uriText;
  }

  #isOwnUri(uri: Uri | undefined): boolean {
    return uri?.kind === 'sip' && this.#isOwn(uri.host, uri.port);
  }
}

/** Takes this server's own Route values off a copy and repairs strict routing. */
export function applyRouting(draft: MessageDraft, routing: Routing): void {
  for (let i = 0; i < routing.ownRoutes; i++) draft.pop('route');
  if (!routing.strict) return;
  const routes = draft.values('route').slice(0, -1);
  draft.remove('route');
  for (const route of routes.toReversed()) draft.push('route', route);
}

/**
 * Where a copy goes by its own headers: the first Route, else the Request-URI. A first Route without `lr` is a strict router:
 * it gets its URI as Request-URI and the real one at the end of the Route set (RFC 3261 16.6 item 6).
 */
export function nextHopOf(draft: MessageDraft, requestUri: string): string {
  const first = draft.values('route')[0];
  const route = first === undefined ? undefined : parseNameAddr(first);
  if (route === undefined) return requestUri;
  if (route.uri.kind === 'sip' && !route.uri.parameters.has('lr')) {
    draft.pop('route');
    const others = draft.values('route');
    draft.remove('route');
    for (const value of [...others, `<${requestUri}>`].toReversed()) draft.push('route', value);
    draft.setRequestUri(route.uriText);
  }
  return route.uriText;
}
