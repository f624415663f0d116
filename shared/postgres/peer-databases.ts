import type { Database } from './database.ts';

export interface PeerDatabasesOptions {
  /** Not yet started. */
  readonly open: (site: string, url: string) => Database;
  readonly urls: ReadonlyMap<string, string>;
}

/** The peers' databases while the configuration may name others at any moment. Nothing waits for one that is away. */
export class PeerDatabases {
  readonly #open: PeerDatabasesOptions['open'];
  #urls: ReadonlyMap<string, string> = new Map();
  readonly #databases = new Map<string, Database>();
  #started = false;

  constructor({ open, urls }: PeerDatabasesOptions) {
    this.#open = open;
    this.setUrls(urls);
  }

  /** By site, always as of now. */
  get all(): ReadonlyMap<string, Database> {
    return this.#databases;
  }

  start(): void {
    this.#started = true;
    for (const database of this.#databases.values()) search(database);
  }

  /** Takes over a new configuration: opens what it adds, closes what it no longer names. */
  setUrls(urls: ReadonlyMap<string, string>): void {
    for (const [site, database] of this.#databases) {
      if (urls.get(site) === this.#urls.get(site)) continue;
      this.#databases.delete(site);
      void database.close();
    }
    this.#urls = urls;
    for (const [site, url] of urls) {
      if (this.#databases.has(site)) continue;
      const database = this.#open(site, url);
      this.#databases.set(site, database);
      if (this.#started) search(database);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#databases.values()].map((database) => database.close()));
  }
}

/** It goes on in the background for as long as it takes; `close` ends it, and only that rejects. */
function search(database: Database): void {
  database.start().catch(() => {});
}
