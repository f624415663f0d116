import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { Obstacle } from './obstacle.ts';
import type { LabPlan } from './plan.ts';
import { makePrivateFolder } from './private-folder.ts';
import { logTail } from './ready-parts.ts';

/** What the detached lab sends to the process that started it. */
type Message = { readonly ready: string };

/** True in a lab that another process started with {@link detach} and waits for. */
export const isAwaited = (): boolean => process.send !== undefined;

/** Tells the waiting process that the lab is ready, with the screen to show, and lets it go. */
export function announceReady(screen: string): void {
  process.send?.({ ready: screen } satisfies Message, () => process.disconnect());
}

/** Starts the lab as a process of its own and resolves with its screen when it is ready. Throws with its log when it ends first. */
export async function detach(args: readonly string[], plan: LabPlan): Promise<string> {
  await makePrivateFolder(plan.dataDir);
  mkdirSync(plan.logDir, { recursive: true });
  const logFile = join(plan.logDir, 'lab.log');
  const log = openSync(logFile, 'w');
  const main = join(packageRoot(), 'dist', 'services', 'lab', 'main.js');
  const child = spawn(process.execPath, [main, ...args.filter((arg) => arg !== '--detach')], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const ready = await new Promise<string | null>((resolve) => {
    child.once('message', (message) => resolve((message as Message).ready));
    child.once('exit', () => resolve(null));
  });
  child.unref();
  if (ready === null) throw new Obstacle(`the lab did not start:\n${await logTail(logFile, 30)}`);
  return ready;
}
