import { LastcallError } from '../domain/errors.ts';

/** A budget of milliseconds that runs from now; `race` rejects with `DATABASE_TIMEOUT` when it is used up first. */
export class Expiry {
  readonly #promise: Promise<never>;
  readonly #timer: NodeJS.Timeout;
  #expired = false;

  constructor(budgetMs: number) {
    let reject: (error: LastcallError) => void = () => {};
    this.#promise = new Promise<never>((_, rejectWith) => {
      reject = rejectWith;
    });
    // It may expire between two races.
    this.#promise.catch(() => {});
    this.#timer = setTimeout(() => {
      this.#expired = true;
      reject(new LastcallError('DATABASE_TIMEOUT', { details: { budgetMs } }));
    }, budgetMs);
  }

  get expired(): boolean {
    return this.#expired;
  }

  race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#promise]);
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }
}
