import { setTimeout as delay } from 'node:timers/promises';

/** What a page that watches is told: `data` is the whole of it as it stands, never a difference. */
export interface FeedEvent {
  readonly event: 'directions' | 'failovers' | 'failover' | 'alerts' | 'readiness' | 'terminals';
  readonly data: unknown;
}

export type Subscriber = (event: FeedEvent) => void;

/** Looks as often as `everyMs` while somebody watches, and tells what has changed since; whoever begins to watch is told everything. */
export class EventFeed {
  readonly #look: () => Promise<ReadonlyMap<string, FeedEvent>>;
  readonly #everyMs: number;
  readonly #subscribers = new Set<Subscriber>();
  /** By key, as JSON: what was told last. */
  #told = new Map<string, string>();
  #last: ReadonlyMap<string, FeedEvent> = new Map();
  #looking = false;

  constructor(look: () => Promise<ReadonlyMap<string, FeedEvent>>, everyMs: number) {
    this.#look = look;
    this.#everyMs = everyMs;
  }

  /** Returns what ends it. */
  subscribe(subscriber: Subscriber): () => void {
    if (this.#looking) for (const event of this.#last.values()) subscriber(event);
    this.#subscribers.add(subscriber);
    if (!this.#looking) void this.#lookWhileWatched();
    return () => this.#subscribers.delete(subscriber);
  }

  async #lookWhileWatched(): Promise<void> {
    this.#looking = true;
    this.#told = new Map();
    while (this.#subscribers.size > 0) {
      await this.#lookOnce().catch(() => {});
      await delay(this.#everyMs, undefined, { ref: false });
    }
    this.#looking = false;
  }

  async #lookOnce(): Promise<void> {
    const seen = await this.#look();
    this.#last = seen;
    for (const [key, event] of seen) {
      const text = JSON.stringify(event.data);
      if (this.#told.get(key) === text) continue;
      this.#told.set(key, text);
      for (const subscriber of this.#subscribers) subscriber(event);
    }
  }
}
