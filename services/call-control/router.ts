import type { Binding } from '../../shared/domain/binding.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { Location } from '../../shared/redis/location.ts';
import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { Target } from '../../shared/sip/proxy/types.ts';
import type { SipServer } from '../../shared/sip/server.ts';
import type { FlowHandover } from './flow-handover.ts';
import type { Originator } from './originator.ts';
import type { OwnAddresses } from './own-addresses.ts';
import { markPassed, sitesPassed } from './site-marker.ts';
import { escapedUser } from './user-part.ts';

/** `binding`: a phone registered here. `peer`: another site. `gateway`: the next hop. `route`: along the sender's Route. */
export interface CallTarget extends Target {
  readonly kind: 'binding' | 'peer' | 'gateway' | 'route';
}

/** Groups of targets: those of one group together, the next group when nobody of the one before was there. */
export type Stages = readonly (readonly CallTarget[])[];

export interface RouterOptions {
  readonly site: string;
  readonly domain: string;
  readonly server: SipServer;
  readonly location: Location;
  readonly addresses: OwnAddresses;
  readonly handover: FlowHandover;
  /** SIP URIs of the peer sites. */
  readonly peers: readonly string[];
  readonly nextHop: string | null;
}

/** `unreadable`: neither PostgreSQL nor a copy can tell whose number it is. */
export type Callee = StoredTerminal | null | 'unreadable';

/** Where a call may go: phones here, then the peer sites, then the gateway. */
export class Router {
  readonly #options: RouterOptions;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /**
   * Null: the number is nobody's. A call from a peer site goes to phones here and nowhere else, so that no call circles
   * between sites. A proxy that handed us the call gets it back for a callee who is not registered here.
   */
  async stages(
    request: SipRequest,
    dialed: string,
    callee: Callee,
    from: Originator,
  ): Promise<Stages | null> {
    const fromPeer = from.sitesPassed.length > 0;
    const onward = fromPeer ? [] : this.#peerTargets(request, dialed);
    const gateway = fromPeer ? [] : this.#gatewayTargets(request, this.uriOf(dialed));
    if (callee === null) return gateway.length > 0 ? [gateway] : null;
    const aor = callee === 'unreadable' ? this.uriOf(dialed) : callee.aor;
    const party = callee === 'unreadable' ? undefined : String(callee.terminalId);
    const here = await this.#bindingTargets(request, aor, party);
    const returnsToProxy = from.trusted || callee === 'unreadable';
    return [here, onward, returnsToProxy ? gateway : []].filter((stage) => stage.length > 0);
  }

  /** R2: an emergency call asks nobody whose number it is: the gateway, a phone registered for the number, the peers. */
  async emergencyStages(request: SipRequest, dialed: string, trusted: boolean): Promise<Stages> {
    const fromPeer = trusted && sitesPassed(request).length > 0;
    const gateway = fromPeer ? [] : this.#gatewayTargets(request, request.requestUri);
    const here = await this.#bindingTargets(request, this.uriOf(dialed));
    return [gateway, here, fromPeer ? [] : this.#peerTargets(request, dialed)].filter(
      (stage) => stage.length > 0,
    );
  }

  /** A request to another domain leaves through the gateway or not at all. */
  foreignStages(request: SipRequest, uri: string = request.requestUri): Stages | null {
    const gateway = this.#gatewayTargets(request, uri);
    return gateway.length > 0 ? [gateway] : null;
  }

  /** Along the Route that a trusted proxy gave the request, `uri` being its new target. */
  routeStages(uri: string): Stages {
    return [[{ kind: 'route', uri }]];
  }

  /** How this site names a number towards others. */
  uriOf(dialed: string): string {
    return `sip:${escapedUser(dialed)}@${this.#options.domain}`;
  }

  #peerTargets(request: SipRequest, dialed: string): CallTarget[] {
    const uri = this.uriOf(dialed);
    return this.#options.peers.map((nextHop) => ({
      kind: 'peer',
      uri,
      nextHop,
      edit: this.#marking(request),
    }));
  }

  #gatewayTargets(request: SipRequest, uri: string): CallTarget[] {
    const { nextHop } = this.#options;
    return nextHop === null ? [] : [{ kind: 'gateway', uri, nextHop, edit: this.#marking(request) }];
  }

  #marking(request: SipRequest): (draft: MessageDraft) => void {
    return (draft) => markPassed(draft, request, this.#options.site);
  }

  async #bindingTargets(request: SipRequest, aor: string, party?: string): Promise<CallTarget[]> {
    const bindings = await this.#options.location.find(aor);
    return bindings
      .map((binding) => this.#bindingTarget(request, binding, party))
      .filter((target) => target !== null);
  }

  /** G2: where it registered from; the Contact is a Request-URI only. Null for a connection that is gone. */
  #bindingTarget(request: SipRequest, binding: Binding, party: string | undefined): CallTarget | null {
    const { addresses, handover, server } = this.#options;
    const { contact: uri, flow: token, owner } = binding;
    const route = binding.path.length > 0 ? { route: binding.path } : {};
    const plain: CallTarget = { kind: 'binding', uri, party, ...route };
    const flow = server.flow(token);
    if (flow?.open) return { ...plain, flow };
    if (owner === addresses.routeUri) return null;
    return { ...plain, nextHop: owner, edit: (draft) => handover.ask(draft, request, token) };
  }
}
