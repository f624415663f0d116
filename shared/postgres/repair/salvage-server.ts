import type { Connection } from '../wire/connection.ts';
import { salvageMarks, salvageRows, salvageTerminals } from './salvage.ts';

export interface ServerSalvage {
  readonly marks: number;
  readonly terminals: number;
  readonly rows: number;
}

/**
 * Brings what only an old server of a site holds to the site's new primary: one that another was promoted past while it
 * still took writes (rule 28), or one that a backup took the place of. The old server is only read; nothing at the new one
 * becomes older, so it may be repeated. Both connections as lastcall_coordinator.
 */
export async function salvageServer(
  site: string,
  { old, primary }: { readonly old: Connection; readonly primary: Connection },
): Promise<ServerSalvage> {
  const ends = { peer: old, peerSite: site, target: primary, targetSite: site };
  const marks = await salvageMarks(ends);
  const terminals = await salvageTerminals(ends);
  const rows = await salvageRows(ends, async () => undefined);
  return { marks, terminals, rows };
}
