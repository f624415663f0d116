import type { Logger } from './logger.ts';

/** One part of a process. Parts start in the order given and stop in reverse. */
export interface Part {
  readonly name: string;
  start?(signal: AbortSignal): Promise<void> | void;
  stop?(): Promise<void> | void;
}

const STOP_LIMIT_MS = 30_000;

/**
 * Runs a process until SIGTERM or SIGINT: starts its parts, then stops them in reverse, each waiting for the work it
 * accepted. A second signal, or a stop that lasts longer than `stopLimitMs`, exits at once with status 1. An error that
 * nobody caught is logged and ends the process the same way, for its supervisor to start it anew.
 */
export async function runProcess(
  parts: readonly Part[],
  log: Logger,
  stopLimitMs = STOP_LIMIT_MS,
): Promise<void> {
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) =>
    stopping.signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  const onSignal = (name: NodeJS.Signals) => {
    if (stopping.signal.aborted) process.exit(1);
    log.info({ signal: name }, 'stopping');
    stopping.abort();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  const onCrash = (err: unknown) => {
    log.fatal({ err }, 'unexpected error, exiting');
    process.exit(1);
  };
  process.on('uncaughtException', onCrash).on('unhandledRejection', onCrash);

  const started: Part[] = [];
  try {
    for (const part of parts) {
      if (stopping.signal.aborted) break;
      // Before it has started: a part that waits for a dependency must still be stopped.
      started.push(part);
      await part.start?.(stopping.signal);
    }
    log.info('started');
    await stopped;
  } catch (err) {
    if (!stopping.signal.aborted) {
      log.fatal({ err }, 'cannot start');
      process.exitCode = 1;
    }
  }
  const limit = setTimeout(() => process.exit(1), stopLimitMs);
  for (const part of started.reverse()) await stopPart(part, log);
  clearTimeout(limit);
  log.info('stopped');
  // Timers of a library must not keep a stopped process alive.
  setTimeout(() => process.exit(), 500).unref();
}

async function stopPart(part: Part, log: Logger): Promise<void> {
  try {
    await part.stop?.();
  } catch (err) {
    log.error({ err, part: part.name }, 'part did not stop cleanly');
  }
}
