import type { MessageDraft } from '../message/draft.ts';
import type { SipRequest } from '../message/message.ts';
import type { SipServer } from '../server.ts';
import { type NameAddr, parseNameAddr } from '../syntax/name-addr.ts';
import type { SipUri } from '../syntax/uri.ts';
import type { Flow } from '../transport/flow.ts';
import type { RouteSigner } from './record-route.ts';
import type { Routing, Target } from './types.ts';

/** Reads Route sets for one server (RFC 3261 16.4). */
export class RouteReader {
  readonly #server: SipServer;
  readonly #signer: RouteSigner;
  readonly #aliases: ReadonlySet<string>;

  constructor(server: SipServer, signer: RouteSigner, aliases: readonly string[]) {
    this.#server = server;
    this.#signer = signer;
    this.#aliases = new Set(aliases.map((alias) => alias.toLowerCase()));
  }

  routing(request: SipRequest): Routing {
    if (request.indexOf('route') < 0)
      return { kind: 'none', target: { uri: request.requestUri }, ownRoutes: 0, strict: false };
    const routes = this.routes(request);
    const strictUri = this.#strictUri(request, routes);
    const last = strictUri === undefined ? routes.length : routes.length - 1;
    let ownRoutes = 0;
    while (ownRoutes < last && this.#isOwn(routes[ownRoutes])) ownRoutes++;
    const nearest =
      ownRoutes > 0 ? routes[ownRoutes - 1]?.uri : strictUri === undefined ? undefined : request.uri;
    const token = this.#flowToken(request, nearest);
    const inDialog = token !== undefined && request.to?.tag !== undefined;
    return {
      kind: inDialog ? 'dialog' : ownRoutes < last ? 'preloaded' : 'none',
      target: targetOf(strictUri ?? request.requestUri, inDialog ? this.#flow(token) : undefined),
      ownRoutes,
      strict: strictUri !== undefined,
    };
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

  #flow(token: string): Flow | undefined {
    return token === '' ? undefined : this.#server.flow(token);
  }

  #flowToken(request: SipRequest, route: NameAddr['uri'] | undefined): string | undefined {
    return route?.kind === 'sip' ? this.#signer.flowToken(route, request.callId ?? '') : undefined;
  }

  /** A strict router put our Record-Route into the Request-URI and the real one last (RFC 3261 16.4, 16.12.1.2). */
  #strictUri(request: SipRequest, routes: readonly NameAddr[]): string | undefined {
    const { uri } = request;
    if (uri?.kind !== 'sip' || !uri.parameters.has('lr') || !this.#isOwnUri(uri)) return undefined;
    return routes.at(-1)?.uriText;
  }

  #isOwn(route: NameAddr | undefined): boolean {
    return route?.uri.kind === 'sip' && this.#isOwnUri(route.uri);
  }

  #isOwnUri(uri: SipUri): boolean {
    const { host, port } = uri;
    return (
      this.#server.isLocal(host, port) || this.#aliases.has(port === undefined ? host : `${host}:${port}`)
    );
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

const targetOf = (uri: string, flow: Flow | undefined): Target =>
  flow === undefined ? { uri } : { uri, flow };
