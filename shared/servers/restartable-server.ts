import { type Program, type ServerProcess, startServerProcess } from './server-process.ts';

/** One server over several lives: what a fault test needs. */
export type RestartableServer = {
  /** Throws while it does not run. */
  readonly pid: number;
  /** Resolves when it is ready; nothing happens when it runs. */
  start(): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** SIGKILL for it and every child: what a power cut leaves. */
  kill(): Promise<void>;
  /** SIGSTOP for it and every child: its sockets stay open and nobody answers. */
  pause(): void;
  resume(): void;
};

const START_DEADLINE_MS = 60_000;

export function restartable(name: string, program: Program): RestartableServer {
  let server: ServerProcess | null = null;
  return {
    get pid() {
      if (!server?.running()) throw new Error(`${name} is not running`);
      return server.pid;
    },
    async start() {
      if (server?.running()) return;
      server = startServerProcess(program);
      await server.untilReady(START_DEADLINE_MS);
    },
    stop: async (signal) => server?.stop(signal),
    kill: async () => server?.kill(),
    pause: () => server?.pause(),
    resume: () => server?.resume(),
  };
}
