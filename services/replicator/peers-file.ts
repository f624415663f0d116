import type { Config } from '../../shared/runtime/config.ts';
import { peerUrls } from '../../shared/runtime/peer-urls.ts';
import { watchConfig } from '../../shared/runtime/watch-config.ts';
import type { ReplicatorLog } from './settings.ts';

/** The peers that this process can pull from: those whose `replicatorUrl` is known. */
export function replicatorUrls(config: Config): Record<string, string> {
  return Object.fromEntries(peerUrls(config, 'replicatorUrl'));
}

/** Tells of the peers each time the configuration was read again. */
export function watchPeers(
  file: string | undefined,
  onPeers: (peers: Record<string, string>) => void,
  log: ReplicatorLog,
): () => void {
  return watchConfig(file, (config) => onPeers(replicatorUrls(config)), log);
}
