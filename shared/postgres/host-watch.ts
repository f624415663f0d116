import type pg from 'pg';
import type { ServerIdentity } from '../domain/server-identity.ts';
import { readIdentity, shortLivedClient } from './server-identity.ts';

/** What one host said in one round; `identity` is null for a standby and for a host that did not answer. */
export interface HostSighting {
  readonly url: string;
  readonly state: 'primary' | 'standby' | 'unreachable';
  readonly identity: ServerIdentity | null;
}

export interface HostWatchOptions {
  /** One single-host URL each. */
  readonly urls: readonly string[];
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** After each round, with every host's answer. */
  readonly onRound: (sightings: readonly HostSighting[]) => void;
}

/**
 * Rule 28: asks every host of a site who it is, round after round, over a connection of its own to each. It sees a
 * promotion though the old primary still answers and nobody asks the pool anything. A mute host costs a round its timeout.
 */
export class HostWatch {
  readonly #options: HostWatchOptions;
  readonly #clients = new Map<string, pg.Client>();
  #next: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: HostWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#next = setTimeout(() => void this.#round(), this.#options.everyMs).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#next);
    for (const url of [...this.#clients.keys()]) this.#drop(url);
  }

  async #round(): Promise<void> {
    const sightings = await Promise.all(this.#options.urls.map((url) => this.#ask(url)));
    if (this.#stopped) return;
    this.#options.onRound(sightings);
    this.start();
  }

  async #ask(url: string): Promise<HostSighting> {
    try {
      const identity = await readIdentity(await this.#clientOf(url));
      return { url, state: identity === null ? 'standby' : 'primary', identity };
    } catch {
      this.#drop(url);
      return { url, state: 'unreachable', identity: null };
    }
  }

  async #clientOf(url: string): Promise<pg.Client> {
    const known = this.#clients.get(url);
    if (known !== undefined) return known;
    const client = shortLivedClient(url, this.#options.timeoutMs);
    this.#clients.set(url, client);
    await client.connect();
    return client;
  }

  /** Waits for no goodbye: a frozen server never answers it. */
  #drop(url: string): void {
    const client = this.#clients.get(url);
    this.#clients.delete(url);
    void client?.end().catch(() => {});
  }
}
