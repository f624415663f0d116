import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { parseUri } from '../../shared/sip/syntax/uri.ts';
import type { Flow } from '../../shared/sip/transport/flow.ts';

export interface TrustedSourcesOptions {
  /** Networks of proxies and gateways: `10.0.0.0/8` or a single address. */
  readonly networks: readonly string[];
  /** SIP URIs of the peer sites' call-controls. */
  readonly peers: readonly string[];
}

const REFRESH_MS = 30_000;

/**
 * Whose P-Asserted-Identity and loop marker are believed: the configured networks, and a peer site's datagrams, known
 * by the address and port it listens on. Over a connection the port is any, so a peer that uses TCP or TLS must stand in
 * the networks too.
 */
export class TrustedSources {
  readonly #networks = new BlockList();
  readonly #peerUris: readonly string[];
  #peers: ReadonlySet<string> = new Set();
  #refresh: NodeJS.Timeout | undefined;

  constructor({ networks, peers }: TrustedSourcesOptions) {
    this.#peerUris = peers;
    for (const network of networks) addNetwork(this.#networks, network);
  }

  /** Resolves the peers' names, now and from time to time. */
  async start(): Promise<void> {
    await this.#resolvePeers();
    this.#refresh = setInterval(() => void this.#resolvePeers(), REFRESH_MS).unref();
  }

  stop(): void {
    clearInterval(this.#refresh);
  }

  has({
    transport,
    remoteAddress,
    remotePort,
  }: Pick<Flow, 'transport' | 'remoteAddress' | 'remotePort'>): boolean {
    if (transport === 'udp' && this.#peers.has(`${remoteAddress}|${remotePort}`)) return true;
    return this.#networks.check(remoteAddress, isIP(remoteAddress) === 6 ? 'ipv6' : 'ipv4');
  }

  async #resolvePeers(): Promise<void> {
    const peers = await Promise.all(this.#peerUris.map(addressAndPort));
    this.#peers = new Set(peers.filter((peer) => peer !== null));
  }
}

async function addressAndPort(uriText: string): Promise<string | null> {
  const uri = parseUri(uriText);
  if (uri?.kind !== 'sip') return null;
  const host = uri.host.replace(/^\[|\]$/g, '');
  const address = isIP(host)
    ? host
    : await lookup(host)
        .then((found) => found.address)
        .catch(() => null);
  return address === null ? null : `${address}|${uri.port ?? 5060}`;
}

function addNetwork(networks: BlockList, text: string): void {
  const [address = '', prefix] = text.split('/');
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (prefix === undefined) networks.addAddress(address, family);
  else networks.addSubnet(address, Number(prefix), family);
}
