import type { Config } from './config-schema.ts';

type PeerUrl = 'sip' | 'replicatorUrl' | 'coordinatorUrl';

/** The peers' URLs by site, each by the first of these keys that is configured; a peer without any is absent. */
export function peerUrls({ peers }: Pick<Config, 'peers'>, ...keys: readonly PeerUrl[]): Map<string, string> {
  return new Map(
    Object.entries(peers).flatMap(([site, peer]) => {
      const url = keys.map((key) => peer[key]).find((configured) => configured !== null);
      return url == null ? [] : [[site, url] as const];
    }),
  );
}
