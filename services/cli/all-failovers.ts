import { LastcallError } from '../../shared/domain/errors.ts';
import type { Failover, FailoverReport } from '../../shared/domain/failover.ts';
import type { Database } from '../../shared/postgres/database.ts';
import { listFailovers, readFailover } from '../../shared/postgres/directions/failovers.ts';
import type { Context } from './context.ts';

/** A failover with the site in whose database it is written down: that of the coordinator that was asked. */
export type WrittenFailover = Failover & { readonly writtenAt: string };

export interface AllFailovers {
  /** Newest first. */
  readonly failovers: readonly WrittenFailover[];
  /** Sites that could not be asked, with why. */
  readonly unasked: Readonly<Record<string, string>>;
}

const SHOWN = 50;

/** Every site's, as far as they can be asked. Throws when none can. */
export async function allFailovers(context: Context): Promise<AllFailovers> {
  const answers = await askSites(context, (database) => listFailovers(database, SHOWN));
  const failovers = answers
    .flatMap(({ site, answer }) => (answer ?? []).map((found) => ({ ...found, writtenAt: site })))
    .toSorted((one, other) => other.requestedAt - one.requestedAt)
    .slice(0, SHOWN);
  const unasked = answers.flatMap(({ site, reason }) => (reason === null ? [] : [[site, reason]]));
  return { failovers, unasked: Object.fromEntries(unasked) };
}

/** From whichever site has it; null when none that can be asked does. */
export async function findFailover(context: Context, id: string): Promise<FailoverReport | null> {
  const answers = await askSites(context, (database) => readFailover(database, id));
  return answers.find(({ answer }) => answer !== null)?.answer ?? null;
}

interface Answer<T> {
  readonly site: string;
  readonly answer: T | null;
  readonly reason: string | null;
}

async function askSites<T>(
  context: Context,
  ask: (database: Database) => Promise<T | null>,
): Promise<Answer<T>[]> {
  const { config } = context.config();
  const sites = [config.site, ...Object.keys(config.peers)];
  const asked = await Promise.allSettled(
    sites.map(async (site) =>
      ask(await (site === config.site ? context.database() : context.peerDatabase(site))),
    ),
  );
  if (asked.every(({ status }) => status === 'rejected'))
    throw (asked[0] as PromiseRejectedResult).reason as Error;
  return asked.map((outcome, index): Answer<T> => {
    const site = sites[index] ?? '';
    if (outcome.status === 'fulfilled') return { site, answer: outcome.value, reason: null };
    return { site, answer: null, reason: reasonOf(outcome.reason) };
  });
}

const reasonOf = (error: unknown): string =>
  error instanceof LastcallError
    ? String(error.details['message'] ?? error.message)
    : ((error as Error).message ?? String(error));
