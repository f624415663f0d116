/**
 * Who asks, once proven (G1). `stranger`: nobody yet. `terminal`: digest credentials. `proxy`: an address of the trusted
 * networks. `peer`: another site, by its key. `dialog`: the holder of a ticket, from where the dialog's party is.
 */
export const ASKERS = ['stranger', 'terminal', 'proxy', 'peer', 'dialog'] as const;
export type Asker = (typeof ASKERS)[number];

/**
 * Where a request would go. The first six are found by this server: by registrations, by configuration, by a ticket. The others
 * are named by the sender, in Request-URI, Route, Contact, Path, maddr or a redirect.
 */
export const PLACES = [
  /** The flow over which a phone registered. */
  'phone',
  /** Another site, for a number that nobody here has registered. */
  'peer-site',
  /** The configured next hop. */
  'gateway',
  /** Wherever emergency calls go (R2). */
  'emergency',
  /** A star code: this server acts, and calls in the sender's name. */
  'star-code',
  /** The other party of the dialog, over the flow that its ticket holds. */
  'dialog-party',
  /** Along the sender's own Route. */
  'route',
  /** Another domain, by way of the gateway. */
  'foreign-domain',
  /** This server itself, as a next hop: a loop. */
  'this-server',
  /** Any other address that the sender names. */
  'elsewhere',
] as const;
export type Place = (typeof PLACES)[number];

export interface GatePolicy {
  /** Whether calls to other domains leave through the gateway, or are refused. */
  readonly foreignDomains: 'refuse' | 'gateway';
}

/** `prove`: a challenge; who proves to be a terminal is asked again as one. */
export type GateDecision =
  | { readonly kind: 'go' }
  | { readonly kind: 'prove' }
  | { readonly kind: 'refuse'; readonly status: 403 | 404 | 481 | 482; readonly reason: string };

const GO: GateDecision = { kind: 'go' };
const PROVE: GateDecision = { kind: 'prove' };
const refusal = (status: 403 | 404 | 481 | 482, reason: string): GateDecision => ({
  kind: 'refuse',
  status,
  reason,
});
const ROUTE = refusal(403, 'Route Not Allowed');
const DOMAIN = refusal(403, 'Domain Not Allowed');
const DESTINATION = refusal(403, 'Destination Not Allowed');
const CIRCLE = refusal(404, 'Not At This Site');
const NO_DIALOG = refusal(481, 'No Such Dialog');
const LOOP = refusal(482, 'Loop Detected');

type Row = Readonly<Record<Place, GateDecision>>;

/** One row an asker, complete by its type: a place that is not thought of does not compile. */
const GATE: Readonly<Record<Asker, Row>> = {
  stranger: {
    phone: PROVE,
    'peer-site': PROVE,
    gateway: PROVE,
    emergency: GO,
    'star-code': PROVE,
    'dialog-party': PROVE,
    route: PROVE,
    'foreign-domain': PROVE,
    'this-server': LOOP,
    elsewhere: PROVE,
  },
  terminal: {
    phone: GO,
    'peer-site': GO,
    gateway: GO,
    emergency: GO,
    'star-code': GO,
    'dialog-party': NO_DIALOG,
    route: ROUTE,
    'foreign-domain': GO,
    'this-server': LOOP,
    elsewhere: DESTINATION,
  },
  proxy: {
    phone: GO,
    'peer-site': GO,
    gateway: GO,
    emergency: GO,
    'star-code': GO,
    'dialog-party': NO_DIALOG,
    route: GO,
    'foreign-domain': GO,
    'this-server': LOOP,
    elsewhere: DESTINATION,
  },
  // Its caller's site has looked everywhere else, and has dialled the caller's star codes itself: nothing goes round.
  peer: {
    phone: GO,
    'peer-site': CIRCLE,
    gateway: CIRCLE,
    emergency: GO,
    'star-code': CIRCLE,
    'dialog-party': NO_DIALOG,
    route: ROUTE,
    'foreign-domain': CIRCLE,
    'this-server': LOOP,
    elsewhere: DESTINATION,
  },
  dialog: {
    phone: NO_DIALOG,
    'peer-site': NO_DIALOG,
    gateway: NO_DIALOG,
    emergency: NO_DIALOG,
    'star-code': NO_DIALOG,
    'dialog-party': GO,
    route: ROUTE,
    'foreign-domain': NO_DIALOG,
    'this-server': LOOP,
    elsewhere: NO_DIALOG,
  },
};

/** The one decision on every destination (G1): may this asker reach that place? */
export function decide(asker: Asker, place: Place, policy: GatePolicy): GateDecision {
  const decision = GATE[asker][place];
  if (place === 'foreign-domain' && decision.kind === 'go' && policy.foreignDomains === 'refuse')
    return DOMAIN;
  return decision;
}

/** For places that are tried or left out without an answer of their own. */
export const mayReach = (asker: Asker, place: Place, policy: GatePolicy): boolean =>
  decide(asker, place, policy).kind === 'go';
