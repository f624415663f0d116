import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { guarded } from '../guarded.ts';
import { parseUri, type SipUri } from '../syntax/uri.ts';
import { bareHost } from './address.ts';
import type { TransportName } from './listener.ts';

/** Where a URI leads, RFC 3263 without NAPTR and SRV: transport parameter, maddr or host, port or the default. */
export interface Destination {
  readonly transport: TransportName;
  /** The URI's host, which a TLS peer must prove to be. */
  readonly host: string;
  readonly address: string;
  readonly port: number;
}

const TRANSPORTS: ReadonlySet<string> = new Set(['udp', 'tcp', 'tls', 'ws', 'wss']);
const CACHE_MS = 30_000;
const CACHE_NAMES = 1_000;

/** Looks names up (A and AAAA) and remembers them for a short while. IP literals answer at once. */
export class Resolver {
  readonly #onFault: (error: unknown) => void;
  readonly #known = new Map<string, { readonly address: string; readonly until: number }>();

  /** @param onFault hears what a callback threw after a look-up. */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
  }

  /** Calls back with the destination, or an error for what is no SIP URI or an unknown name; synchronously for a literal. */
  resolve(uriText: string, done: (found: Destination | Error) => void): void {
    const uri = parseUri(uriText);
    const transport = uri?.kind === 'sip' ? transportOf(uri) : undefined;
    if (uri?.kind !== 'sip' || transport === undefined) {
      done(new Error(`cannot send to this kind of URI: ${uri?.scheme ?? 'malformed'}`));
      return;
    }
    const port = uri.port ?? (transport === 'tls' || transport === 'wss' ? 5061 : 5060);
    const host = bareHost(uri.host);
    const wanted = bareHost(uri.parameters.get('maddr') ?? uri.host);
    const address = isIP(wanted) ? wanted : this.#cached(wanted);
    if (address !== undefined) done({ transport, host, address, port });
    else
      void this.#lookup(wanted).then(
        guarded(this.#onFault, (found: string | Error) =>
          done(typeof found === 'string' ? { transport, host, address: found, port } : found),
        ),
      );
  }

  #cached(host: string): string | undefined {
    const known = this.#known.get(host);
    return known !== undefined && known.until > performance.now() ? known.address : undefined;
  }

  async #lookup(host: string): Promise<string | Error> {
    // RFC 6761 6.4: names under .invalid never resolve; browsers register with them (RFC 7118 5).
    if (host.endsWith('.invalid')) return new Error('the name is reserved as invalid');
    try {
      const { address } = await lookup(host);
      if (this.#known.size >= CACHE_NAMES) this.#known.clear();
      this.#known.set(host, { address, until: performance.now() + CACHE_MS });
      return address;
    } catch (error) {
      return new Error('the name does not resolve', { cause: error });
    }
  }
}

/** RFC 3263 4.1 without NAPTR: the parameter, else TLS for sips, else UDP. */
function transportOf(uri: SipUri): TransportName | undefined {
  const named = uri.parameters.get('transport')?.toLowerCase();
  if (named === undefined) return uri.scheme === 'sips' ? 'tls' : 'udp';
  if (uri.scheme === 'sips' && named === 'tcp') return 'tls';
  if (uri.scheme === 'sips' && named === 'ws') return 'wss';
  return TRANSPORTS.has(named) ? (named as TransportName) : undefined;
}
