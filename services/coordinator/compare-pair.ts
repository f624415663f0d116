import { compareSites } from '../../shared/postgres/repair/compare.ts';
import { FlowRefused } from './flow-fault.ts';
import type { StepDetail } from './ledger.ts';
import type { Pair } from './pair.ts';

/**
 * Counts and checksums of every table of both directions, while calls go on (rule 27). Returns the rows of each table;
 * throws `FlowRefused` naming the tables when rows differ that nobody is changing.
 */
export async function comparePair(pair: Pair, signal: AbortSignal): Promise<StepDetail> {
  const sites = new Map([pair.site, pair.peer].map((site) => [site, pair.url(site)]));
  const { tables } = await compareSites({ sites, repair: false, signal });
  const faulty = tables.filter(({ differing }) => differing > 0);
  if (faulty.length > 0) {
    throw new FlowRefused(
      `rows differ: ${faulty.map(({ table, to, differing }) => `${differing} of ${table} at site ${to}`).join(', ')}`,
    );
  }
  return { rows: Object.fromEntries(tables.map(({ table, originRows }) => [table, originRows])) };
}
