import type { Readiness } from '../../shared/runtime/health.ts';
import type { Guess } from '../../shared/sip/digest/types.ts';
import { type Deliver, type Seat, Steering } from '../../shared/sip/transport/steering.ts';

/** What the first process tells those that it forked. */
export type Told =
  | { readonly kind: 'seat'; readonly seat: Seat }
  /** Where each takes what is its own, by index; null for one that is away. */
  | { readonly kind: 'ports'; readonly ports: readonly (number | null)[] }
  | { readonly kind: 'guess'; readonly guess: Guess }
  | { readonly kind: 'ask'; readonly id: number }
  | { readonly kind: 'stop' };

/** What they tell it. */
export type Reported =
  /** It listens now: what was told before is lost. */
  | { readonly kind: 'joining' }
  | { readonly kind: 'serving'; readonly port: number }
  | { readonly kind: 'guess'; readonly guess: Guess }
  | { readonly kind: 'state'; readonly id: number; readonly state: ProcessState };

export interface ProcessState {
  readonly readiness: Readiness;
  /** As prom-client writes a registry in JSON. */
  readonly metrics: readonly object[];
}

/** The other processes behind the same listeners, as one of them sees them: through the process that forked all. */
export class Siblings {
  readonly seat: Seat;
  readonly steering: Steering;
  /** What another one learned of who guesses passwords. */
  onGuess: (guess: Guess) => void = () => {};
  /** Asked what this process has to say of itself. */
  onAsked: () => Promise<ProcessState> = () => Promise.reject(new Error('not built yet'));
  #port: number | null = null;
  #stopping = false;

  private constructor(seat: Seat) {
    this.seat = seat;
    this.steering = new Steering(seat);
    process.on('message', (told: Told) => this.#hear(told));
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        this.#stopping = true;
      });
  }

  /** Resolves when the process that forked this one has said which it is. */
  static join(): Promise<Siblings> {
    return new Promise((resolve) => {
      const hear = (told: Told): void => {
        if (told.kind !== 'seat') return;
        process.off('message', hear);
        resolve(new Siblings(told.seat));
      };
      process.on('message', hear);
      report({ kind: 'joining' });
    });
  }

  async listen(deliver: Deliver, onFault: (error: unknown) => void): Promise<void> {
    this.#port = await this.steering.start(deliver, onFault);
  }

  /** From now on the others hand on what is this one's. */
  serving(): void {
    if (this.#port !== null) report({ kind: 'serving', port: this.#port });
  }

  guessed(guess: Guess): void {
    report({ kind: 'guess', guess });
  }

  stop(): void {
    this.steering.stop();
  }

  #hear(told: Told): void {
    if (told.kind === 'ports') this.steering.setPorts(told.ports);
    else if (told.kind === 'guess') this.onGuess(told.guess);
    else if (told.kind === 'ask') void this.#answer(told.id);
    // A signal to the whole group, as of Ctrl-C, came here as well: a second one would not wait for calls.
    else if (told.kind === 'stop' && !this.#stopping) process.emit('SIGTERM', 'SIGTERM');
  }

  async #answer(id: number): Promise<void> {
    const state = await this.onAsked().catch(() => null);
    if (state !== null) report({ kind: 'state', id, state });
  }
}

function report(reported: Reported): void {
  // The process that forked this one may be gone: then this one ends too.
  process.send?.(reported, undefined, undefined, () => {});
}
