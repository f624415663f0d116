import { isIP } from 'node:net';
import type { Binding } from '../../shared/domain/binding.ts';
import type { Place } from '../../shared/domain/gate.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { Location } from '../../shared/redis/location.ts';
import type { SiteProcesses } from '../../shared/redis/site-processes.ts';
import type { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { Target } from '../../shared/sip/proxy/types.ts';
import type { SipServer } from '../../shared/sip/server.ts';
import { parseUri, type Uri } from '../../shared/sip/syntax/uri.ts';
import type { Answer } from '../../shared/sip/transaction/user.ts';
import { bareHost } from '../../shared/sip/transport/address.ts';
import type { Flow } from '../../shared/sip/transport/flow.ts';
import type { CallGate } from './call-gate.ts';
import { datagramSource } from './contact-bindings.ts';
import type { FlowHandover } from './flow-handover.ts';
import type { Originator, Sender } from './originator.ts';
import type { OwnAddresses } from './own-addresses.ts';
import type { ReservedPlaces } from './reserved-places.ts';
import type { SiteMarker } from './site-marker.ts';
import { escapedUser } from './user-part.ts';

/** `binding`: a phone registered here. `peer`: another site. `gateway`: the next hop. `route`: along the sender's Route. */
export interface CallTarget extends Target {
  readonly kind: 'binding' | 'peer' | 'gateway' | 'route';
}

/** Groups of targets: those of one group together, the next group when nobody of the one before was there. */
export type Stages = readonly (readonly CallTarget[])[];

/** Where a call may go, or why it may not. */
export type Way = { readonly stages: Stages } | { readonly refusal: Answer };

export interface RouterOptions {
  readonly domain: string;
  readonly server: SipServer;
  readonly location: Location;
  readonly addresses: OwnAddresses;
  readonly reserved: ReservedPlaces;
  readonly gate: CallGate;
  readonly marker: SiteMarker;
  readonly handover: FlowHandover;
  readonly processes: Pick<SiteProcesses, 'isGone'>;
  /** SIP URIs of the peer sites. */
  readonly peers: readonly string[];
  readonly nextHop: string | null;
}

/** `unreadable`: neither PostgreSQL nor a copy can tell whose number it is. */
export type Callee = StoredTerminal | null | 'unreadable';

/** Where a call may go: phones here, then the peer sites, then the gateway; each only for whom the gate lets there (G1). */
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
    const { gate } = this.#options;
    const gateway = this.#gatewayTargets(request, this.uriOf(dialed), from);
    if (callee === null) return gateway.length > 0 ? [gateway] : null;
    const aor = callee === 'unreadable' ? this.uriOf(dialed) : callee.aor;
    const party = callee === 'unreadable' ? undefined : String(callee.terminalId);
    const { here, past } = gate.mayReach(from.asker, 'phone')
      ? await this.#phones(request, aor, party)
      : NOBODY;
    const returnsToProxy = from.trusted || callee === 'unreadable';
    const onward = this.#peerTargets(request, this.uriOf(dialed), from);
    return [here, [...past, ...onward], returnsToProxy ? gateway : []].filter((stage) => stage.length > 0);
  }

  /** R2: an emergency call asks nobody whose number it is: the gateway, a phone registered for the number, the peers. */
  async emergencyStages(
    request: SipRequest,
    dialed: string,
    { asker, sitesPassed }: Sender,
  ): Promise<Stages> {
    // Whoever calls for help asks as this site's own: what a terminal may reach.
    const from = asker === 'stranger' ? { asker: 'terminal' as const, sitesPassed } : { asker, sitesPassed };
    // A service URN (RFC 5031) has no number in it: nobody is registered for it, and it goes on as it is.
    const uri = dialed === '' ? request.requestUri : this.uriOf(dialed);
    const { here, past } = await this.#phones(request, uri);
    return [
      this.#gatewayTargets(request, request.requestUri, from, 'emergency'),
      here,
      [...past, ...this.#peerTargets(request, uri, from)],
    ].filter((stage) => stage.length > 0);
  }

  /** To a URI that is not of this site: another domain by way of the gateway if the gate says so, any other place never. */
  toForeign(request: SipRequest, from: Originator, uri: string = request.requestUri): Way {
    const refusal = this.#options.gate.refusal(from.asker, this.#placeNamed(parseUri(uri)));
    if (refusal !== undefined) return { refusal };
    const gateway = this.#gatewayTargets(request, uri, from);
    return gateway.length > 0 ? { stages: [gateway] } : { refusal: { status: 404 } };
  }

  /** Along the Route that a trusted proxy gave the request, `uri` being its new target. */
  routeStages(uri: string): Stages {
    return [[{ kind: 'route', uri }]];
  }

  /** How this site names a number towards others. */
  uriOf(dialed: string): string {
    return `sip:${escapedUser(dialed)}@${this.#options.domain}`;
  }

  /** What the sender of a URI that is not ours asks for. An address is no domain, wherever it leads. */
  #placeNamed(uri: Uri | undefined): Place {
    if (uri?.kind !== 'sip') return 'elsewhere';
    const { addresses, reserved } = this.#options;
    if (addresses.isOurs(uri) || reserved.named(uri) === 'this-server') return 'this-server';
    const isAddress = isIP(bareHost(uri.host)) !== 0 || uri.parameters.has('maddr');
    return isAddress || reserved.named(uri) !== null ? 'elsewhere' : 'foreign-domain';
  }

  #peerTargets(
    request: SipRequest,
    uri: string,
    { asker, sitesPassed }: Pick<Originator, 'asker' | 'sitesPassed'>,
  ): CallTarget[] {
    const { gate, marker, peers } = this.#options;
    if (!gate.mayReach(asker, 'peer-site')) return [];
    return peers.filter(fitsScheme(request)).map((nextHop) => ({
      kind: 'peer',
      uri: uri.replace(/^sip:/, `${schemeOf(request)}:`),
      nextHop,
      edit: (draft) => marker.mark(draft, sitesPassed),
    }));
  }

  #gatewayTargets(
    request: SipRequest,
    uri: string,
    { asker }: Pick<Originator, 'asker'>,
    place: 'gateway' | 'emergency' = 'gateway',
  ): CallTarget[] {
    const { gate, nextHop } = this.#options;
    if (nextHop === null || !gate.mayReach(asker, place) || !fitsScheme(request)(nextHop)) return [];
    return [{ kind: 'gateway', uri, nextHop }];
  }

  async #phones(request: SipRequest, aor: string, party?: string): Promise<Phones> {
    const bindings = await this.#options.location.find(aor);
    const secure = bindings.filter((binding) => this.#isSecureEnough(request, binding));
    const ways = secure.map((binding) => this.#waysTo(binding, party));
    return { here: ways.flatMap(({ here }) => here), past: ways.flatMap(({ past }) => past) };
  }

  /** RFC 3261 26.2.2. */
  #isSecureEnough(request: SipRequest, { contact, flow }: Binding): boolean {
    const isSecure = schemeOf(request) === 'sips' || contact.toLowerCase().startsWith('sips:');
    return !isSecure || isSecureFlow(this.#options.server.flow(flow));
  }

  /**
   * G2: where it registered from; the Contact is a Request-URI only. A connection that is gone leads nowhere. A phone over UDP
   * is reached without the process it registered at, unless a NAT lets only that one through.
   */
  #waysTo(binding: Binding, party: string | undefined): Phones {
    const { addresses, handover, processes, server } = this.#options;
    const { contact: uri, flow: token, owner, path } = binding;
    const plain: CallTarget = { kind: 'binding', uri, party, ...(path.length > 0 && { route: path }) };
    const flow = server.flow(token);
    if (flow?.open) return { here: [{ ...plain, flow }], past: [] };
    const [address, port] = datagramSource(binding) ?? [];
    const direct = address === undefined || !port ? undefined : server.datagramFlow(address, port);
    const past = direct === undefined ? [] : [{ ...plain, flow: direct }];
    if (owner === addresses.routeUri || processes.isGone(owner)) return { here: past, past: [] };
    const handedOver = {
      ...plain,
      nextHop: owner,
      flow: server.ownFlow(owner),
      edit: (draft: MessageDraft) => handover.ask(draft, token),
    };
    return { here: [handedOver], past };
  }
}

/** The ways to a callee's phones, and those past a process that may turn out to be silent. */
interface Phones {
  readonly here: readonly CallTarget[];
  readonly past: readonly CallTarget[];
}

const NOBODY: Phones = { here: [], past: [] };

const schemeOf = ({ uri }: SipRequest): 'sip' | 'sips' => (uri?.kind === 'sip' ? uri.scheme : 'sip');

/** RFC 3261 26.2.2: what is called by sips goes over TLS only, on every hop. */
function fitsScheme(request: SipRequest): (nextHop: string) => boolean {
  if (schemeOf(request) === 'sip') return () => true;
  return (nextHop) => /^sips:/i.test(nextHop) || /;transport=(?:tls|wss)\b/i.test(nextHop);
}

export const isSecureFlow = (flow: Flow | undefined): boolean =>
  flow?.transport === 'tls' || flow?.transport === 'wss';
