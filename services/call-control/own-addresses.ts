import type { SipServer } from '../../shared/sip/server.ts';
import type { Uri } from '../../shared/sip/syntax/uri.ts';

/** What means "this site" in a URI, and how this process is reached by the site's other processes. */
export class OwnAddresses {
  readonly #server: SipServer;
  readonly #domain: string;

  constructor(server: SipServer, domain: string) {
    this.#server = server;
    this.#domain = domain.toLowerCase();
  }

  /** The domain, a listening address whatever the port, `localhost` for a server on loopback, or a tel number. */
  isOurs(uri: Uri | undefined): boolean {
    if (uri?.kind === 'tel') return true;
    if (uri?.kind !== 'sip') return false;
    if (uri.host === this.#domain) return true;
    const hosts = this.#server.listeners.map((listener) => listener.host);
    return hosts.includes(uri.host) || (uri.host === 'localhost' && hosts.some(isLoopback));
  }

  /** `sip:host:port;lr` of the listener that another process of the site can send to. */
  get routeUri(): string {
    const { listeners } = this.#server;
    const reachable =
      listeners.find(({ transport }) => transport === 'udp' || transport === 'tcp') ?? listeners[0];
    return reachable?.routeUri ?? '';
  }
}

const isLoopback = (host: string): boolean => host.startsWith('127.') || host === '[::1]';
