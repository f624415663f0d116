import type { SipServer } from '../../shared/sip/server.ts';
import type { Uri } from '../../shared/sip/syntax/uri.ts';

/**
 * What means "this site" in a URI, be it Request-URI, Route, Contact or From, and how this process is reached by the site's other
 * processes. One idea for all: every address it listens on or advertises, `localhost` for a server on loopback, and the domain, with
 * a port of one of its listeners. The names may stand without a port; an address without one means the default port, where another
 * server may listen.
 */
export class OwnAddresses {
  readonly #server: SipServer;
  readonly #domain: string;

  constructor(server: SipServer, domain: string) {
    this.#server = server;
    this.#domain = domain.toLowerCase();
  }

  /** A URI whose user part this site looks up; a tel number is everybody's. */
  isOurs(uri: Uri | undefined): boolean {
    if (uri?.kind === 'tel') return true;
    return uri?.kind === 'sip' && this.isOwn(uri.host, uri.port);
  }

  /** `host` as a URI writes it, in lower case. */
  isOwn(host: string, port: number | undefined): boolean {
    const { listeners } = this.#server;
    if (host === this.#domain)
      return port === undefined || listeners.some((each) => each.port === port || each.boundPort === port);
    if (host === 'localhost' && port === undefined)
      return listeners.some((each) => this.#server.isLocal(host, each.boundPort));
    return this.#server.isLocal(host, port);
  }

  /** `sip:host:port;lr` of the listener that another process of the site can send to. */
  get routeUri(): string {
    const { listeners } = this.#server;
    const reachable =
      listeners.find(({ own }) => own) ??
      listeners.find(({ transport }) => transport === 'udp' || transport === 'tcp') ??
      listeners[0];
    return reachable?.routeUri ?? '';
  }
}
