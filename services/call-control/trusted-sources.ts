import { BlockList, isIP } from 'node:net';
import type { Flow } from '../../shared/sip/transport/flow.ts';

type Source = Pick<Flow, 'remoteAddress'>;

/** Addresses whose trust is remembered: each is asked for several times a message. */
const REMEMBERED = 10_000;

/** The configured networks of proxies and gateways: whose word is believed. Another site proves itself by its key instead (G5). */
export class TrustedSources {
  readonly #networks: BlockList;
  readonly #fromNetworks: BlockList;
  readonly #known = new Map<string, boolean>();

  /** `networks`: whose P-Asserted-Identity is believed. `fromNetworks`: those of them whose From is, where that is missing. */
  constructor(networks: readonly string[], fromNetworks: readonly string[] = []) {
    this.#networks = listOf(networks);
    this.#fromNetworks = listOf(fromNetworks);
  }

  has(source: Source): boolean {
    const { remoteAddress } = source;
    const known = this.#known.get(remoteAddress);
    if (known !== undefined) return known;
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    const trusted = holds(this.#networks, source);
    this.#known.set(remoteAddress, trusted);
    return trusted;
  }

  hasFrom(source: Source): boolean {
    return this.has(source) && holds(this.#fromNetworks, source);
  }
}

const holds = (networks: BlockList, { remoteAddress }: Source): boolean =>
  isIP(remoteAddress) !== 0 && networks.check(remoteAddress, isIP(remoteAddress) === 6 ? 'ipv6' : 'ipv4');

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of networks) {
    const [address = '', prefix] = text.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}
