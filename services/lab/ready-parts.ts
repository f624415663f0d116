import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Supervisor } from './supervisor.ts';

const DEADLINE_MS = 120_000;
/** A part that died this often while starting will not come up by trying again. */
const HOPELESS_DEATHS = 6;
const PAUSE_MS = 50;
const LOG_TAIL_LINES = 15;

/** A part did not become ready; the message holds the end of its log. */
export class NotReady extends Error {
  override readonly name = 'NotReady';
}

/** Resolves when all parts are ready. Throws {@link NotReady} for the first that will not be, or the signal's reason. */
export async function readyParts(parts: readonly Supervisor[], signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  await Promise.all(
    parts.map(async (part) => {
      for (;;) {
        signal.throwIfAborted();
        if (part.deaths >= HOPELESS_DEATHS) throw await notReady(part, 'ends as soon as it starts');
        if (performance.now() > deadline)
          throw await notReady(part, `is not ready after ${DEADLINE_MS / 1000} s`);
        if (await part.ready()) return;
        if (part.pid === null) await delay(PAUSE_MS);
      }
    }),
  );
}

async function notReady({ name, program }: Supervisor, what: string): Promise<NotReady> {
  const why = await program.whyNotReady?.();
  const { logFile } = program;
  const said = logFile ? `; the end of ${logFile}:\n${await logTail(logFile)}` : '';
  return new NotReady(`${name} ${what}${why ? ` (${why})` : ''}${said}`);
}

/** The last lines of a log. */
export async function logTail(file: string, lines = LOG_TAIL_LINES): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .trimEnd()
    .split('\n')
    .slice(-lines)
    .map((line) => `  ${line}`)
    .join('\n');
}
