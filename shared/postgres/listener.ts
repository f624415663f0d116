import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { clientUrl } from './client-url.ts';
import { findPrimary } from './find-primary.ts';

const RETRY_MS = 1_000;
const CONNECT_MS = 2_000;

export interface ListenerOptions {
  readonly url: string;
  readonly applicationName: string;
  readonly channel: string;
  /** Called when it begins to listen, as well: what was told before was told to nobody. */
  readonly onNotify: () => void;
}

/** Listens at whichever host is the primary, and looks for it again when the connection ends. A hint only: who needs to be sure polls as well. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #closed = new AbortController();
  #client: pg.Client | null = null;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#listenForEver();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    const client = this.#client;
    if (client)
      await Promise.race([client.end().catch(() => {}), delay(RETRY_MS, undefined, { ref: false })]);
  }

  async #listenForEver(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await this.#listen().catch(() => {});
      await delay(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** Ends when the connection does. */
  async #listen(): Promise<void> {
    const { applicationName, channel, onNotify, url } = this.#options;
    const primary = await findPrimary(url, CONNECT_MS);
    const client = new pg.Client({
      connectionString: clientUrl(primary.url),
      application_name: applicationName,
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
    });
    const ended = new Promise<void>((resolve) => {
      client.on('end', resolve);
      client.on('error', () => resolve());
    });
    client.on('notification', onNotify);
    this.#client = client;
    try {
      await client.connect();
      await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
      onNotify();
      if (!this.#closed.signal.aborted) await ended;
    } finally {
      this.#client = null;
      void client.end().catch(() => {});
    }
  }
}
