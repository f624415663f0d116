import { isIP } from 'node:net';
import { parseUri, type SipUri } from '../syntax/uri.ts';
import { bareHost } from './address.ts';
import type { TransportName } from './listener.ts';
import { NameLookup, type NameLookupOptions } from './name-lookup.ts';

/** Where a URI leads, RFC 3263 without NAPTR and SRV: transport parameter, maddr or host, port or the default. */
export interface Destination {
  readonly transport: TransportName;
  /** The URI's host, which a TLS peer must prove to be. */
  readonly host: string;
  readonly address: string;
  readonly port: number;
}

export interface ResolverOptions extends NameLookupOptions {
  /** Names of this server: they lead nowhere else, and are never looked up. */
  readonly ownNames: readonly string[];
}

const REMEMBERED = 1_000;
const TRANSPORTS: ReadonlySet<string> = new Set(['udp', 'tcp', 'tls', 'ws', 'wss']);

/** Finds the address of a URI. IP literals answer at once. */
export class Resolver {
  readonly #names: NameLookup;
  readonly #ownNames: ReadonlySet<string>;
  /** Of URIs with an address: a gateway or a peer is sent to all the time. */
  readonly #literals = new Map<string, Destination>();

  constructor(options: ResolverOptions) {
    this.#names = new NameLookup(options);
    this.#ownNames = new Set(options.ownNames.map(plainName));
  }

  /** Names asked for or waiting, and answers kept. */
  get size(): NameLookup['size'] {
    return this.#names.size;
  }

  /** Calls back with the destination, or an error for what is no SIP URI or an unknown name; synchronously for a literal. */
  resolve(uriText: string, done: (found: Destination | Error) => void): void {
    const literal = this.#literals.get(uriText);
    if (literal !== undefined) {
      done(literal);
      return;
    }
    const uri = parseUri(uriText);
    const transport = uri?.kind === 'sip' ? transportOf(uri) : undefined;
    if (uri?.kind !== 'sip' || transport === undefined) {
      done(new Error(`cannot send to this kind of URI: ${uri?.scheme ?? 'malformed'}`));
      return;
    }
    const port = uri.port ?? (transport === 'tls' || transport === 'wss' ? 5061 : 5060);
    const host = bareHost(uri.host);
    const to = bareHost(uri.parameters.get('maddr') ?? uri.host);
    this.#find(to, (found) => {
      if (typeof found !== 'string') return done(found);
      const destination = { transport, host, address: found, port };
      if (found === to) this.#remember(uriText, destination);
      done(destination);
    });
  }

  #remember(uriText: string, destination: Destination): void {
    if (this.#literals.size >= REMEMBERED) this.#literals.clear();
    this.#literals.set(uriText, destination);
  }

  #find(host: string, done: (found: string | Error) => void): void {
    const name = plainName(host);
    if (isIP(host) !== 0) done(host);
    else if (this.#ownNames.has(name)) done(new Error("the name is this server's own"));
    // RFC 6761 6.4: names under .invalid never resolve; browsers register with them (RFC 7118 5).
    else if (name.endsWith('.invalid')) done(new Error('the name is reserved as invalid'));
    else this.#names.find(name, done);
  }
}

/** A name's case and final dot do not matter. */
const plainName = (name: string): string => name.toLowerCase().replace(/\.$/, '');

/** RFC 3263 4.1 without NAPTR: the parameter, else TLS for sips, else UDP. */
function transportOf(uri: SipUri): TransportName | undefined {
  const named = uri.parameters.get('transport')?.toLowerCase();
  if (named === undefined) return uri.scheme === 'sips' ? 'tls' : 'udp';
  if (uri.scheme === 'sips' && named === 'tcp') return 'tls';
  if (uri.scheme === 'sips' && named === 'ws') return 'wss';
  return TRANSPORTS.has(named) ? (named as TransportName) : undefined;
}
