import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { contentMarkKey } from './keys.ts';

/**
 * Whether Redis still holds what a site gave it. A mark beside the content stays as long as the content does; gone or
 * another one, the content is gone (FLUSHALL, a lost folder, a promoted replica that never had it), and who can gives it again.
 * So it is with another server, or another life of one: a promoted replica has the mark, and may lack the last moments.
 */
export class ContentWatch {
  readonly #redis: Redis;
  readonly #key: string;
  #mark: string | null = null;
  #runId: string | null = null;
  #looking: Promise<void> | null = null;
  readonly #listeners: (() => Promise<void>)[] = [];

  constructor(redis: Redis, site: string) {
    this.#redis = redis;
    this.#key = contentMarkKey(site);
  }

  /** Called when the content is gone; rejecting means to be called again. */
  onLost(listener: () => Promise<void>): void {
    this.#listeners.push(listener);
  }

  /** For reading it in one command with what is to be believed: {@link isLost} judges it. */
  get key(): string {
    return this.#key;
  }

  /** Whether a reading that saw this mark saw a Redis that has lost its content. It is then looked after. */
  isLost(mark: string | null): boolean {
    const lost = this.#mark !== null && mark !== this.#mark;
    if (lost) void this.look().catch(() => {});
    return lost;
  }

  /** Compares the mark, and has the content given again when it must be. Rejects with what ioredis throws. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const fresh = randomUUID();
    await this.#redis.set(this.#key, fresh, 'NX');
    const mark = (await this.#redis.get(this.#key)) ?? fresh;
    const runId = /^run_id:(\w+)/m.exec(await this.#redis.info('server'))?.[1] ?? null;
    if (mark === this.#mark && runId === this.#runId) return;
    // Remembered only when all is given again: what fails half-way begins anew.
    if (this.#mark !== null) await Promise.all(this.#listeners.map((listener) => listener()));
    this.#mark = mark;
    this.#runId = runId;
  }
}
