import { type ConnectOptions, connectToPrimary } from '../../shared/postgres/replication/primary.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import { FlowWaits } from './flow-fault.ts';
import { FLOW_SESSION, type Lease } from './lease.ts';
import type { SiteObservation } from './observe.ts';

/** The failed site and one peer, with connections to both that live as long as the attempt. */
export class Pair {
  readonly site: string;
  readonly peer: string;
  readonly #urls: ReadonlyMap<string, string>;
  readonly #lease: Lease;
  readonly #open = new Map<string, Promise<Connection>>();

  constructor(site: SiteObservation, peer: SiteObservation, lease: Lease) {
    this.#lease = lease;
    this.site = site.site;
    this.peer = peer.site;
    this.#urls = new Map(
      [site, peer].flatMap((end) => (end.primaryUrl === null ? [] : [[end.site, end.primaryUrl]])),
    );
  }

  /** In reports: what concerns both ends. */
  get label(): string {
    return `${this.site}<>${this.peer}`;
  }

  /** The site's one writable server. Throws `FlowWaits` when none was seen. */
  url(site: string): string {
    const url = this.#urls.get(site);
    if (url === undefined) throw new FlowWaits(`site ${site} has no database that takes writes`);
    return url;
  }

  /** Checked to be ours at this moment. Throws `LeaseLost`, or LC003, when another flow has the site. */
  async connect(site: string): Promise<Connection> {
    const connection = await this.#connected(site);
    await this.#lease.requireAt(site, connection);
    return connection;
  }

  async #connected(site: string): Promise<Connection> {
    const before = await this.#open.get(site)?.catch(() => null);
    if (before && !before.closed) return before;
    const options: ConnectOptions = { applicationName: FLOW_SESSION };
    const opening = Promise.resolve().then(() => connectToPrimary(this.url(site), options));
    this.#open.set(site, opening);
    return opening;
  }

  /** Also ends what runs on the connections. */
  async close(): Promise<void> {
    for (const opening of this.#open.values()) {
      const connection = await opening.catch(() => null);
      connection?.destroy();
    }
  }
}
