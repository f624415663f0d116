import { statSync } from 'node:fs';
import { type Config, configPath, loadConfig } from '../../shared/runtime/config.ts';
import type { ReplicatorLog } from './settings.ts';

const LOOK_MS = 2_000;

/** The peers that this process can pull from: those whose `replicatorUrl` is known. */
export function replicatorUrls(config: Config): Record<string, string> {
  return Object.fromEntries(
    Object.entries(config.peers).flatMap(([site, { replicatorUrl }]) =>
      replicatorUrl ? [[site, replicatorUrl]] : [],
    ),
  );
}

/** Reads the configuration again on SIGHUP and when the file changes. A faulty file changes nothing and is logged. */
export function watchPeers(
  file: string | undefined,
  onPeers: (peers: Record<string, string>) => void,
  log: ReplicatorLog,
): () => void {
  const path = configPath(file);
  let modified = modifiedAt(path);
  const read = (): void => {
    try {
      onPeers(replicatorUrls(loadConfig({ file })));
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

function modifiedAt(path: string | undefined): number | null {
  return path === undefined ? null : (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null);
}
