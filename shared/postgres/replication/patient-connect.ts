import type { Connection } from '../wire/connection.ts';
import { NoAnswer } from '../wire/server-error.ts';

/** Beside each other at most, so that a slow link does not use up the server's walsenders. */
const ATTEMPTS = 6;
/** Of silence for one attempt, and of all of them in vain, in {@link Patience.everyMs} of a fast link. */
const SILENT_TURNS = 6;
const VAIN_TURNS = 12;
/** To connect takes four round trips and more. */
const TOOK_SHARE = 1.5;

/** How long this link's answers may take, learned from how long they took. */
export class Patience {
  readonly #leastMs: number;
  #tookMs = 0;

  /** `leastMs`: until a second attempt begins, where nothing is known. */
  constructor(leastMs: number) {
    this.#leastMs = leastMs;
  }

  took(ms: number): void {
    this.#tookMs = ms;
  }

  /** Between the beginnings of two attempts. */
  get everyMs(): number {
    return Math.max(this.#leastMs, this.#tookMs * TOOK_SHARE);
  }

  /** What this link, being sound, may be silent for; 0 where nothing is known. */
  get silenceMs(): number {
    return this.#tookMs * 2;
  }

  /** Silence that ends one attempt. */
  get attemptMs(): number {
    return Math.max(this.#leastMs * SILENT_TURNS, this.silenceMs);
  }

  get vainMs(): number {
    return Math.max(this.#leastMs * VAIN_TURNS, this.#tookMs * 4);
  }
}

/**
 * Opens a connection over a link that may be slow or may be dead, which look alike: an attempt that stays silent goes on,
 * and another begins beside it, for a dead link that has come back answers only the new one. The first to succeed is
 * taken. Throws at once what an attempt was answered, `NoAnswer` after `vainMs`, and the signal's reason.
 */
export function connectPatiently(
  open: (connectTimeoutMs: number) => Promise<Connection>,
  patience: Patience,
  signal?: AbortSignal,
): Promise<Connection> {
  const { everyMs, attemptMs, vainMs } = patience;
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    let waiting = 0;
    let decided = false;
    const decide = (how: () => void): void => {
      if (decided) return;
      decided = true;
      clearInterval(timer);
      signal?.removeEventListener('abort', onAbort);
      how();
    };
    const onAbort = (): void => decide(() => reject(signal?.reason as Error));
    const attempt = (): void => {
      if (decided || waiting >= ATTEMPTS) return;
      waiting++;
      const beganAt = performance.now();
      open(attemptMs).then(
        (connection) => {
          waiting--;
          if (decided) return connection.destroy();
          patience.took(performance.now() - beganAt);
          decide(() => resolve(connection));
        },
        (fault: unknown) => {
          waiting--;
          const inVain = performance.now() - startedAt >= vainMs;
          if (!(fault instanceof NoAnswer) || inVain) decide(() => reject(fault as Error));
        },
      );
    };
    const timer = setInterval(attempt, everyMs);
    if (signal?.aborted) return onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    attempt();
  });
}
