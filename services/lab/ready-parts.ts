import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Obstacle } from './obstacle.ts';
import type { Supervisor } from './supervisor.ts';

const DEADLINE_MS = 120_000;
/** A part that died this often while starting will not come up by trying again. */
const HOPELESS_DEATHS = 6;
const PAUSE_MS = 50;
const LOG_TAIL_LINES = 15;

/** Resolves when all parts are ready. Throws {@link Obstacle} for the first that will not be, or the signal's reason. */
export async function readyParts(parts: readonly Supervisor[], signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  const settled = new AbortController();
  const given = AbortSignal.any([signal, settled.signal]);
  const untilReady = async (part: Supervisor): Promise<void> => {
    for (;;) {
      given.throwIfAborted();
      if (part.deaths >= HOPELESS_DEATHS) throw await notReady(part, 'ends as soon as it starts');
      if (performance.now() > deadline)
        throw await notReady(part, `is not ready after ${DEADLINE_MS / 1000} s`);
      if (await part.ready()) return;
      if (part.pid === null) await delay(PAUSE_MS);
    }
  };
  try {
    await Promise.all(parts.map(untilReady));
  } finally {
    settled.abort(); // One that never will be ready ends the waiting for the others.
  }
}

async function notReady({ name, program }: Supervisor, what: string): Promise<Obstacle> {
  const why = await program.whyNotReady?.();
  const { logFile } = program;
  const said = logFile ? `; the end of ${logFile}:\n${await logTail(logFile)}` : '';
  return new Obstacle(`${name} ${what}${why ? ` (${why})` : ''}${said}`);
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
