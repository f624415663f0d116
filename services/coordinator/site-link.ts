import { hostUrls } from '../../shared/postgres/find-primary.ts';
import { Connection } from '../../shared/postgres/wire/connection.ts';
import { connectionTarget } from '../../shared/postgres/wire/connection-target.ts';
import { ConnectionLost } from '../../shared/postgres/wire/server-error.ts';

/** One server of a site: a replication connection that is kept, and made again when it ended. */
export class HostLink {
  readonly url: string;
  readonly host: string;
  readonly #applicationName: string;
  #connection: Connection | null = null;

  constructor(url: string, applicationName: string) {
    this.url = url;
    this.#applicationName = applicationName;
    const [first] = connectionTarget(url).hosts;
    this.host = `${first?.host}:${first?.port}`;
  }

  /** Runs one look; a server that does not answer within `deadlineMs` is given up, for a frozen one holds its sockets open. */
  async look<T>(deadlineMs: number, body: (connection: Connection) => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const expiry = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new ConnectionLost(`${this.host} did not answer within ${deadlineMs} ms`)),
        deadlineMs,
      );
    });
    try {
      return await Promise.race([this.#open().then(body), expiry]);
    } catch (cause) {
      this.#connection?.destroy();
      this.#connection = null;
      throw cause;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    await connection?.close();
  }

  async #open(): Promise<Connection> {
    if (this.#connection && !this.#connection.closed) return this.#connection;
    const target = connectionTarget(this.url);
    const [host] = target.hosts;
    if (!host) throw new ConnectionLost('the URL names no host');
    const opened = await Connection.open({
      target,
      host,
      replication: 'database',
      applicationName: this.#applicationName,
    });
    this.#connection = opened;
    return opened;
  }
}

/** The servers that a site's URL names: one of them is the primary, the others stand by. */
export class SiteLink {
  readonly site: string;
  readonly hosts: readonly HostLink[];

  constructor(site: string, url: string, applicationName: string) {
    this.site = site;
    this.hosts = hostUrls(url).map((hostUrl) => new HostLink(hostUrl, applicationName));
  }

  async close(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.close()));
  }
}
