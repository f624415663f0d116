import type { Timer, TimerTask, TimerWheel } from './timer-wheel.ts';

/** One line of a state machine: the next state and what is done on the way there, in order. */
export interface Step<S extends string, A extends string> {
  readonly to: S;
  readonly act: readonly A[];
}

/** A state machine as data: an event without a line in its state changes nothing. */
export type Table<S extends string, E extends string, A extends string> = {
  readonly [state in S]: { readonly [event in E]?: Step<S, A> };
};

/** Shortens the tables. */
export const to = <S extends string, A extends string>(state: S, ...act: A[]): Step<S, A> => ({
  to: state,
  act,
});

/** What runs a table: events in, actions out, and the timers of RFC 3261 table 4 by their letters. */
export abstract class Machine<S extends string, E extends string, A extends string> implements TimerTask {
  state: S;
  readonly #table: Table<S, E, A>;
  readonly #wheel: TimerWheel;
  /** At most two run at once; the pairs are letter and timer. */
  #firstTimer: Timer | undefined;
  #secondTimer: Timer | undefined;

  constructor(table: Table<S, E, A>, initial: S, wheel: TimerWheel) {
    this.#table = table;
    this.#wheel = wheel;
    this.state = initial;
  }

  /** Timers call with their letter, which is the name of their event. */
  onTimer(letter: string): void {
    if (this.#firstTimer?.kind === letter) this.#firstTimer = undefined;
    else this.#secondTimer = undefined;
    this.handle(letter as E);
  }

  /** True when the table has a line for this event in the present state. */
  protected handle(event: E): boolean {
    const step = this.#table[this.state][event];
    if (step === undefined) return false;
    const entered = this.state !== step.to;
    this.state = step.to;
    if (entered) this.leaveTimers(step.to);
    for (const action of step.act) this.act(action);
    return true;
  }

  protected abstract act(action: A): void;

  protected arm(letter: E, delayMs: number): void {
    const timer = this.#wheel.schedule(delayMs, this, letter);
    if (this.#firstTimer === undefined) this.#firstTimer = timer;
    else this.#secondTimer = timer;
  }

  /** What becomes of the timers when `_state` is entered: none outlives the state that armed it. Timer F does, and overrides this. */
  protected leaveTimers(_state: S): void {
    this.stopTimers();
  }

  protected stopTimer(letter: E): void {
    if (this.#firstTimer?.kind === letter) {
      this.#wheel.cancel(this.#firstTimer);
      this.#firstTimer = undefined;
    } else if (this.#secondTimer?.kind === letter) {
      this.#wheel.cancel(this.#secondTimer);
      this.#secondTimer = undefined;
    }
  }

  protected stopTimers(): void {
    this.#wheel.cancel(this.#firstTimer);
    this.#wheel.cancel(this.#secondTimer);
    this.#firstTimer = undefined;
    this.#secondTimer = undefined;
  }
}
