import type { DirectionStatus } from '../../domain/direction-state.ts';
import type { Queryable } from '../database.ts';
import { readDirections, unreachableDirection } from './replication-status.ts';

/** A database that may be away when it is asked for. */
export type OpenDatabase = () => Promise<Queryable>;

/**
 * Every direction between all sites: each as its subscriber reports it, from that site's own database. A site that does
 * not answer is in the result with its directions `stopped`, reason `peer-unreachable`. Never rejects.
 */
export async function readAllDirections(
  databases: ReadonlyMap<string, OpenDatabase>,
  budgetMs: number,
): Promise<DirectionStatus[]> {
  const sites = [...databases.keys()].sort();
  const perSite = await Promise.all(
    [...databases].map(async ([site, open]) => {
      try {
        return await readDirections(await open(), budgetMs);
      } catch {
        return sites.filter((other) => other !== site).map((other) => unreachableDirection(other, site));
      }
    }),
  );
  return perSite.flat().sort((x, y) => x.from.localeCompare(y.from) || x.to.localeCompare(y.to));
}
