import { setTimeout as delay } from 'node:timers/promises';
import { type Program, type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';

export type SupervisorOptions = {
  /** `a.call-control` */
  readonly name: string;
  readonly program: Program;
  /** Told when the program ended by itself; `restartInMs` is null when it stays down until somebody starts it. */
  readonly onEnd: (end: { name: string; how: string; restartInMs: number | null }) => void;
  /** Told when it runs again, under a new process id. */
  readonly onRestart: (name: string) => unknown;
};

const FIRST_RESTART_MS = 100;
const SLOWEST_RESTART_MS = 10_000;
/** A life at least this long forgives the deaths before it. */
const STABLE_MS = 10_000;

/** The pause before a program starts again after `deaths` short lives in a row: at once the first time, then climbing. */
export function restartDelayMs(deaths: number): number {
  return Math.min(FIRST_RESTART_MS * 2 ** Math.max(0, deaths - 1), SLOWEST_RESTART_MS);
}

/** Keeps one program running until it is stopped. */
export class Supervisor {
  readonly name: string;
  readonly program: Program;
  readonly #options: SupervisorOptions;
  #process: ServerProcess | null = null;
  #wanted: AbortController | null = null;
  #watching: Promise<void> = Promise.resolve();
  #deaths = 0;

  constructor(options: SupervisorOptions) {
    this.name = options.name;
    this.program = options.program;
    this.#options = options;
  }

  /** The running program's process id; `null` between two lives. */
  get pid(): number | null {
    return this.#process?.running() ? this.#process.pid : null;
  }

  /** How often the program ended by itself without a stable life between. */
  get deaths(): number {
    return this.#deaths;
  }

  /** Starts it and keeps it running. Nothing happens when it is wanted already. */
  start(): void {
    if (this.#wanted) return;
    this.#wanted = new AbortController();
    this.#deaths = 0;
    this.#watching = this.#keepRunning(this.#wanted.signal).finally(() => {
      this.#wanted = null;
    });
  }

  /** Whether the running program serves. Throws when it never will. */
  async ready(): Promise<boolean> {
    return this.pid !== null && (await this.program.ready());
  }

  /** Ends it in order and resolves when it is gone. */
  async stop(): Promise<void> {
    this.#wanted?.abort();
    await this.#process?.stop();
    await this.#watching;
  }

  /** SIGKILL, for a user who will not wait. */
  async kill(): Promise<void> {
    this.#wanted?.abort();
    await this.#process?.kill();
  }

  async #keepRunning(stopped: AbortSignal): Promise<void> {
    for (let life = 1; !stopped.aborted; life++) {
      const born = performance.now();
      const how = await this.#live(life, stopped);
      if (stopped.aborted) return;
      this.#deaths = performance.now() - born > STABLE_MS ? 1 : this.#deaths + 1;
      const restartInMs = this.program.restarts === false ? null : restartDelayMs(this.#deaths);
      this.#options.onEnd({ name: this.name, how, restartInMs });
      if (restartInMs === null) return;
      await delay(restartInMs, undefined, { signal: stopped }).catch(() => {});
    }
  }

  /** One life of the program; resolves with how it ended. */
  async #live(life: number, stopped: AbortSignal): Promise<string> {
    try {
      await this.program.prepare?.();
    } catch (error) {
      return (error as Error).message;
    }
    if (stopped.aborted) return 'stopped';
    this.#process = startServerProcess(this.program);
    if (life > 1) this.#options.onRestart(this.name);
    return this.#process.ended;
  }
}
