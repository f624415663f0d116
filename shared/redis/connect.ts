import { Redis } from 'ioredis';
import { LastcallError } from '../domain/errors.ts';

export interface RedisOptions {
  readonly url: string;
  /** A command that takes longer fails, milliseconds. */
  readonly commandTimeoutMs: number;
  readonly onState?: (state: RedisState) => void;
}

export type RedisState = { readonly state: 'up' } | { readonly state: 'down'; readonly reason: string };

/**
 * One connection made for long outages: it reconnects for ever (50 ms to 2 s apart), and while it is away every command
 * fails at once instead of queueing up. Never throws by itself.
 */
export class RedisConnection {
  readonly client: Redis;
  #state: RedisState = { state: 'down', reason: 'not connected yet' };
  readonly #onState: (state: RedisState) => void;
  readonly #ready: (() => void)[] = [];

  constructor({ url, commandTimeoutMs, onState = () => {} }: RedisOptions) {
    this.#onState = onState;
    this.client = new Redis(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: commandTimeoutMs,
      connectTimeout: 2_000,
      retryStrategy: (attempt) =>
        Math.min(2_000, 50 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2),
    });
    this.client.on('ready', () => {
      this.#enter({ state: 'up' });
      for (const listener of this.#ready) listener();
    });
    this.client.on('error', (error: Error) => this.#enter({ state: 'down', reason: error.message }));
    this.client.on('close', () => {
      if (this.#state.state === 'up') this.#enter({ state: 'down', reason: 'connection closed' });
    });
  }

  get state(): RedisState {
    return this.#state;
  }

  /** Begins to connect; resolves at once. {@link onReady} tells when it is there. */
  start(): void {
    void this.client.connect().catch(() => {});
  }

  /** Called at each (re)connection. */
  onReady(listener: () => void): void {
    this.#ready.push(listener);
    if (this.#state.state === 'up') listener();
  }

  async close(): Promise<void> {
    this.client.disconnect();
  }

  #enter(state: RedisState): void {
    const changed = state.state !== this.#state.state;
    this.#state = state;
    if (changed) this.#onState(state);
  }
}

/** What an error of ioredis means: nearly always that Redis is away. */
export function translateRedisError(cause: unknown): LastcallError {
  return cause instanceof LastcallError ? cause : new LastcallError('REDIS_UNREACHABLE', { cause });
}
