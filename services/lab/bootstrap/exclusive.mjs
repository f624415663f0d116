import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ROOT } from './root.mjs';

const LOCK = join(ROOT, '.cache', 'bootstrap.pid');

/** Two starts at once must not both install or compile: the second waits. A lock whose process is gone counts for nothing. */
export async function exclusively(body) {
  mkdirSync(join(ROOT, '.cache'), { recursive: true });
  while (!takeLock()) await delay(200);
  const release = () => rmSync(LOCK, { force: true });
  process.once('exit', release);
  try {
    return await body();
  } finally {
    process.off('exit', release);
    release();
  }
}

function takeLock() {
  try {
    writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (!isHeld()) rmSync(LOCK, { force: true });
    return false;
  }
}

function isHeld() {
  try {
    const pid = Number(readFileSync(LOCK, 'utf8'));
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}
