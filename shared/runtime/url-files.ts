import { accessSync, constants } from 'node:fs';
import type { ConfigFault } from './config-reader.ts';
import type { Config } from './config-schema.ts';

/** Files that PostgreSQL URLs name: whoever connects reads them, and a process that cannot would end at once. */
export function unreadableFiles({ peers, postgres }: Config): ConfigFault[] {
  const { coordinatorUrl, ownerUrl, peerUrl, replicatorUrl, url } = postgres;
  const own = Object.entries({ url, replicatorUrl, coordinatorUrl, peerUrl, ownerUrl }).map(
    ([key, value]) => [`postgres.${key}`, value] as const,
  );
  const others = Object.entries(peers).flatMap(([name, peer]) =>
    (['replicatorUrl', 'coordinatorUrl'] as const).map((key) => [`peers.${name}.${key}`, peer[key]] as const),
  );
  return [...own, ...others].flatMap(([path, value]) => faultsOf(path, value));
}

function faultsOf(path: string, url: string | null): ConfigFault[] {
  const parameters = new URLSearchParams(url?.split('?')[1] ?? '');
  return ['sslrootcert', 'sslcert', 'sslkey'].flatMap((name) => {
    const file = parameters.get(name);
    if (file === null || isReadable(file)) return [];
    return [{ path, fault: `${name} names ${file}, which cannot be read; correct its path, owner or mode` }];
  });
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
