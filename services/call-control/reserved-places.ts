import { networkInterfaces } from 'node:os';
import type { SipUri } from '../../shared/sip/syntax/uri.ts';
import { parseUri } from '../../shared/sip/syntax/uri.ts';
import { hostText } from '../../shared/sip/transport/address.ts';
import type { Listener } from '../../shared/sip/transport/listener.ts';

/** What is the system's own, so that no registration may name it (G1, G2). */
export type ReservedPlace = 'this-server' | 'peer' | 'gateway';

export interface ReservedPlacesOptions {
  /** Bound addresses, once started. */
  readonly listeners: () => readonly Pick<Listener, 'host' | 'port'>[];
  readonly domain: string;
  /** SIP URIs of the peer sites. */
  readonly peers: readonly string[];
  readonly nextHop: string | null;
  /** The addresses of this machine; those of its interfaces unless given. */
  readonly machine?: readonly string[];
}

const DEFAULT_PORT = { sip: 5060, sips: 5061 } as const;

/** Tells a URI that leads back into the system from one that leads to a phone. */
export class ReservedPlaces {
  readonly #options: ReservedPlacesOptions;
  readonly #machine: ReadonlySet<string>;
  readonly #peers: ReadonlySet<string>;
  readonly #gateway: ReadonlySet<string>;

  constructor(options: ReservedPlacesOptions) {
    this.#options = options;
    this.#machine = new Set(['localhost', ...(options.machine ?? machineAddresses()).map(hostText)]);
    this.#peers = new Set(options.peers.flatMap(placeOfText));
    this.#gateway = new Set(options.nextHop === null ? [] : placeOfText(options.nextHop));
  }

  /** By host or `maddr`, with the port written or the scheme's. */
  named(uri: SipUri): ReservedPlace | null {
    const maddr = uri.parameters.get('maddr');
    return this.#place(uri.host, uri) ?? (maddr ? this.#place(maddr.toLowerCase(), uri) : null);
  }

  #place(host: string, { port, scheme }: SipUri): ReservedPlace | null {
    const place = `${host}|${port ?? DEFAULT_PORT[scheme]}`;
    if (this.#isOwn(host, port ?? DEFAULT_PORT[scheme])) return 'this-server';
    if (this.#peers.has(place)) return 'peer';
    return this.#gateway.has(place) ? 'gateway' : null;
  }

  #isOwn(host: string, port: number): boolean {
    const { domain, listeners } = this.#options;
    if (host === domain.toLowerCase()) return true;
    return listeners().some(
      (listener) => listener.port === port && (listener.host === host || this.#machine.has(host)),
    );
  }
}

function machineAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address),
  );
}

function placeOfText(text: string): string[] {
  const uri = parseUri(text);
  return uri?.kind === 'sip' ? [`${uri.host}|${uri.port ?? DEFAULT_PORT[uri.scheme]}`] : [];
}
