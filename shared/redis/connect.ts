import { Redis } from 'ioredis';
import type { LastcallError } from '../domain/errors.ts';
import { ContentWatch } from './content-watch.ts';
import { translateRedisError } from './redis-error.ts';
import { isElsewhere, redisPlace } from './redis-place.ts';

export interface RedisOptions {
  readonly url: string;
  /** Whose keys it is for: in a Cluster they are on one node. */
  readonly site: string;
  /** A command that takes longer fails, milliseconds. */
  readonly commandTimeoutMs: number;
  readonly onState?: (state: RedisState) => void;
}

export type RedisState = { readonly state: 'up' } | { readonly state: 'down'; readonly reason: string };

const PROBE_MS = 1_000;

/**
 * One connection made for long outages: it reconnects for ever (50 ms to 2 s apart), and while it is away every command
 * fails at once instead of queueing up. A server that accepts connections but answers nothing counts as away after one
 * unanswered probe. Never throws by itself.
 */
export class RedisConnection {
  readonly client: Redis;
  #state: RedisState = { state: 'down', reason: 'not connected yet' };
  readonly #onState: (state: RedisState) => void;
  readonly #ready: (() => void)[] = [];
  readonly #subscribers: Redis[] = [];
  readonly #contents = new Map<string, ContentWatch>();
  #probe: NodeJS.Timeout | null = null;

  constructor({ url, site, commandTimeoutMs, onState = () => {} }: RedisOptions) {
    this.#onState = onState;
    this.client = new Redis({
      ...redisPlace(url, site),
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: commandTimeoutMs,
      connectTimeout: 2_000,
      reconnectOnError: isElsewhere,
      retryStrategy: (attempt) =>
        Math.min(2_000, 50 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2),
    });
    this.client.on('ready', () => {
      this.#enter({ state: 'up' });
      this.#look();
      for (const listener of this.#ready) listener();
    });
    this.client.on('error', (error: Error) => this.#lose(error.message));
    this.client.on('close', () => {
      if (this.#state.state === 'up') this.#lose('connection closed');
    });
  }

  get state(): RedisState {
    return this.#state;
  }

  /** Begins to connect; resolves at once. {@link onReady} tells when it is there. */
  start(): void {
    this.#probe ??= setInterval(() => void this.#ping(), PROBE_MS);
    void this.client.connect().catch(() => {});
  }

  /** Called at each (re)connection. */
  onReady(listener: () => void): void {
    this.#ready.push(listener);
    if (this.#state.state === 'up') listener();
  }

  /** Tells when what a site keeps in Redis is gone: looked at with every probe and at each connection. */
  content(site: string): ContentWatch {
    const content = this.#contents.get(site) ?? new ContentWatch(this.client, site);
    this.#contents.set(site, content);
    return content;
  }

  /**
   * Hears what is published on `channel`, on a connection of its own that is made anew with this one. What is said while
   * it is away is lost: `onDeaf` tells that it is, `onSubscribed` each time that it hears again.
   */
  subscribe(
    channel: string,
    onMessage: (text: string) => void,
    onSubscribed: () => void,
    onDeaf: () => void = () => {},
  ): void {
    const client = this.client.duplicate({ autoResubscribe: false });
    this.#subscribers.push(client);
    // That Redis is away this connection tells.
    client.on('error', () => {});
    client.on('message', (_channel, text) => onMessage(text));
    client.on('close', onDeaf);
    client.on('ready', () => client.subscribe(channel).then(onSubscribed, () => client.disconnect(true)));
    this.onReady(() => {
      if (client.status === 'wait') void client.connect().catch(() => {});
      else client.disconnect(true);
    });
  }

  async close(): Promise<void> {
    if (this.#probe) clearInterval(this.#probe);
    for (const client of [this.client, ...this.#subscribers]) client.disconnect();
  }

  async #ping(): Promise<void> {
    if (this.#state.state !== 'up') return;
    try {
      await this.client.ping();
      this.#look();
    } catch (cause) {
      const error: LastcallError = translateRedisError(cause);
      if (error.code !== 'REDIS_UNREACHABLE') return;
      this.#lose('no answer to a probe');
      this.client.disconnect(true);
    }
  }

  #look(): void {
    // What fails is looked at again with the next probe.
    for (const content of this.#contents.values()) content.look().catch(() => {});
  }

  #lose(reason: string): void {
    this.#enter({ state: 'down', reason });
  }

  #enter(state: RedisState): void {
    const changed = state.state !== this.#state.state;
    this.#state = state;
    if (changed) this.#onState(state);
  }
}

export { translateRedisError } from './redis-error.ts';
