import { setTimeout as delay } from 'node:timers/promises';
import type { CheckResult } from '../../shared/runtime/health.ts';

export interface StartGateOptions {
  readonly databaseUp: () => boolean;
  /** True once the first attempt to find PostgreSQL has ended. */
  readonly databaseTried: () => boolean;
  readonly redisUp: () => boolean;
  /** True when Redis holds terminals of earlier: enough to serve without PostgreSQL. */
  readonly copiesHeld: () => Promise<boolean>;
}

const LOOK_MS = 100;

/**
 * Opens once: when this process has reached Redis, and PostgreSQL or the terminals it left in Redis. Until then calls
 * wait a moment and get 503, since every answer would be a guess; afterwards the loss of either is only a degradation.
 */
export class StartGate {
  readonly #options: StartGateOptions;
  readonly #opening: Promise<void>;
  #resolveOpening: () => void = () => {};
  #open = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StartGateOptions) {
    this.#options = options;
    this.#opening = new Promise((resolve) => {
      this.#resolveOpening = resolve;
    });
  }

  /** Resolves once open, at the latest after `withinMs`. */
  async opened(withinMs: number): Promise<void> {
    if (!this.#open) await Promise.race([this.#opening, delay(withinMs)]);
  }

  get open(): boolean {
    return this.#open;
  }

  /** Resolves when open, or at the signal. */
  start(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = async (): Promise<void> => {
        this.#open = await this.#mayOpen();
        if (this.#open) this.#resolveOpening();
        if (this.#open || signal.aborted) resolve();
        else this.#timer = setTimeout(() => void look(), LOOK_MS);
      };
      void look();
    });
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  check(): CheckResult {
    if (this.#open) return { state: 'up' };
    const { databaseUp, redisUp } = this.#options;
    const waiting = [...(databaseUp() ? [] : ['PostgreSQL']), ...(redisUp() ? [] : ['Redis'])];
    return { state: 'down', reason: `waiting for ${waiting.join(' and ')}` };
  }

  async #mayOpen(): Promise<boolean> {
    const { copiesHeld, databaseTried, databaseUp, redisUp } = this.#options;
    if (!redisUp()) return false;
    // The copies are for when PostgreSQL is away, not for when Redis merely connects faster.
    return databaseUp() || (databaseTried() && copiesHeld().catch(() => false));
  }
}
