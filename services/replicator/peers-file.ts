import type { Config } from '../../shared/runtime/config.ts';
import { watchConfig } from '../../shared/runtime/watch-config.ts';
import type { ReplicatorLog } from './settings.ts';

/** The peers that this process can pull from: those whose `replicatorUrl` is known. */
export function replicatorUrls(config: Config): Record<string, string> {
  return Object.fromEntries(
    Object.entries(config.peers).flatMap(([site, { replicatorUrl }]) =>
      replicatorUrl ? [[site, replicatorUrl]] : [],
    ),
  );
}

/** Tells of the peers each time the configuration was read again. */
export function watchPeers(
  file: string | undefined,
  onPeers: (peers: Record<string, string>) => void,
  log: ReplicatorLog,
): () => void {
  return watchConfig(file, (config) => onPeers(replicatorUrls(config)), log);
}
