import { spawn } from 'node:child_process';
import { Obstacle, ROOT } from './root.mjs';

/** Runs a program in the repository with our terminal and gives its exit status; a signal counts as 1, an absent program as 127. */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], ...options });
    child.once('error', () => resolve(127));
    child.once('close', (status) => resolve(status ?? 1));
  });
}

/** As {@link run}, but anything other than status 0 stops the command. */
export async function runOrStop(command, args, options = {}) {
  const status = await run(command, args, options);
  if (status !== 0) throw new Obstacle(`${command} ${args[0]} ended with ${status}.`);
}
