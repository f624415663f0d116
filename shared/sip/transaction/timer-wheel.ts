/** What a timer calls; one object may own several timers and tells them apart by `kind`. */
export interface TimerTask {
  onTimer(kind: string): void;
}

/** One armed timer: a node in its slot's ring. */
export class Timer {
  task: TimerTask | undefined;
  kind = '';
  dueTick = 0;
  next: Timer = this;
  previous: Timer = this;
}

const SLOTS = 4096;

/**
 * A hashed timer wheel: arming and cancelling are constant time however many transactions wait. It has no clock;
 * `advance` moves it. A timer fires never early and at most one tick late.
 */
export class TimerWheel {
  readonly tickMs: number;
  /** Hears what a task threw; the other timers run all the same. */
  onFault: (error: unknown) => void = (error) => {
    throw error;
  };
  readonly #slots: Timer[] = Array.from({ length: SLOTS }, () => new Timer());
  #tick = 0;
  #remainderMs = 0;
  #armed = 0;

  constructor(tickMs = 10) {
    this.tickMs = tickMs;
  }

  /** Timers waiting. */
  get armed(): number {
    return this.#armed;
  }

  /** Calls `task.onTimer(kind)` once, `delayMs` from now. */
  schedule(delayMs: number, task: TimerTask, kind: string): Timer {
    const timer = new Timer();
    timer.task = task;
    timer.kind = kind;
    timer.dueTick = this.#tick + Math.max(1, Math.ceil((delayMs + this.#remainderMs) / this.tickMs));
    const head = this.#slots[timer.dueTick % SLOTS] as Timer;
    timer.previous = head.previous;
    timer.next = head;
    head.previous.next = timer;
    head.previous = timer;
    this.#armed++;
    return timer;
  }

  /** Harmless for a timer that has fired. */
  cancel(timer: Timer | undefined): void {
    if (timer?.task === undefined) return;
    timer.task = undefined;
    timer.previous.next = timer.next;
    timer.next.previous = timer.previous;
    this.#armed--;
  }

  /** Lets `elapsedMs` pass, firing what is due in order of its time. */
  advance(elapsedMs: number): void {
    this.#remainderMs += elapsedMs;
    while (this.#remainderMs >= this.tickMs) {
      this.#remainderMs -= this.tickMs;
      this.#tick++;
      this.#fireDue(this.#slots[this.#tick % SLOTS] as Timer);
    }
  }

  #fire(task: TimerTask, kind: string): void {
    try {
      task.onTimer(kind);
    } catch (error) {
      this.onFault(error);
    }
  }

  /** A fired task may arm or cancel any timer, so the walk restarts from the head after each. */
  #fireDue(head: Timer): void {
    let timer = head.next;
    while (timer !== head) {
      const { task, kind, next } = timer;
      if (timer.dueTick !== this.#tick || task === undefined) {
        timer = next;
        continue;
      }
      this.cancel(timer);
      this.#fire(task, kind);
      timer = head.next;
    }
  }
}
