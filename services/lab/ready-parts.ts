import { readFile } from 'node:fs/promises';
import type { Program } from './servers/server-process.ts';
import type { Supervisor } from './supervisor.ts';

const DEADLINE_MS = 120_000;
/** A part that died this often while starting will not come up by trying again. */
const HOPELESS_DEATHS = 4;
const LOG_TAIL_LINES = 15;

/** A part did not become ready; the message holds the end of its log. */
export class NotReady extends Error {
  override readonly name = 'NotReady';
}

/** Resolves when all parts are ready. Throws {@link NotReady} for the first that will not be, or the signal's reason. */
export async function readyParts(
  parts: readonly Supervisor[],
  programs: readonly (readonly [string, Program])[],
  signal: AbortSignal,
): Promise<void> {
  const logs = new Map(programs.map(([name, { logFile }]) => [name, logFile]));
  const deadline = performance.now() + DEADLINE_MS;
  await Promise.all(
    parts.map(async (part) => {
      for (;;) {
        signal.throwIfAborted();
        if (part.deaths >= HOPELESS_DEATHS)
          throw await notReady(part.name, 'ends as soon as it starts', logs);
        if (performance.now() > deadline)
          throw await notReady(part.name, `is not ready after ${DEADLINE_MS / 1000} s`, logs);
        if (await part.ready()) return;
      }
    }),
  );
}

async function notReady(
  name: string,
  what: string,
  logs: ReadonlyMap<string, string | undefined>,
): Promise<NotReady> {
  const file = logs.get(name);
  const said = file ? await logTail(file) : '';
  return new NotReady(`${name} ${what}${file ? `; the end of ${file}:\n${said}` : ''}`);
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
