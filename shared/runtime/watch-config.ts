import { statSync } from 'node:fs';
import { type Config, configPath, loadConfig } from './config.ts';
import type { Part } from './lifecycle.ts';
import type { Logger } from './logger.ts';

const LOOK_MS = 2_000;

/**
 * Reads the configuration again on SIGHUP and when its file changes, until the returned function is called. A faulty file
 * changes nothing and is logged.
 */
export function watchConfig(
  file: string | undefined,
  onConfig: (config: Config) => void,
  log: Pick<Logger, 'error'>,
): () => void {
  const path = configPath(file);
  let modified = modifiedAt(path);
  const read = (): void => {
    try {
      onConfig(loadConfig({ file }));
    } catch (err) {
      log.error({ err }, 'configuration not taken over');
    }
  };
  process.on('SIGHUP', read);
  const timer = setInterval(() => {
    const now = modifiedAt(path);
    if (now === modified) return;
    modified = now;
    read();
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    process.off('SIGHUP', read);
  };
}

/** {@link watchConfig} for as long as the process runs. */
export function followConfig(...watched: Parameters<typeof watchConfig>): Part {
  let unwatch = (): void => {};
  return {
    name: 'configuration',
    start: () => {
      unwatch = watchConfig(...watched);
    },
    stop: () => unwatch(),
  };
}

function modifiedAt(path: string | undefined): number | null {
  return path === undefined ? null : (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null);
}
