const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Ctrl-C at the terminal arrives directly and once more through npm: within this time it is one wish. */
const ONE_WISH_MS = 1_500;

export type StopSignals = {
  /** Aborted when the user wants an end. */
  readonly signal: AbortSignal;
  /** Resolves at the same time. */
  readonly asked: Promise<void>;
  /** Everything is stopped: signals have their usual effect again. */
  done(): void;
};

/** Takes SIGINT, SIGTERM and SIGHUP as the wish to stop in order; a second wish, later, as the wish to stop now. */
export function untilAskedToStop(say: (line: string) => void, kill: () => Promise<void>): StopSignals {
  const stopping = new AbortController();
  const asked = new Promise<void>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  let firstAt = 0;
  const onSignal = (): void => {
    if (!stopping.signal.aborted) {
      firstAt = performance.now();
      say('\nStopping ...');
      stopping.abort();
    } else if (performance.now() - firstAt > ONE_WISH_MS) {
      void kill().finally(() => process.exit(1));
    }
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: stopping.signal,
    asked,
    done() {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}
