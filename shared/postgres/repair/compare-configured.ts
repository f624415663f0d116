import { LastcallError } from '../../domain/errors.ts';
import type { Config } from '../../runtime/config.ts';
import { translatePostgresError } from '../postgres-error.ts';
import { ConnectionLost } from '../wire/server-error.ts';
import { type Comparison, compareSites } from './compare.ts';

/** Compares every copy between this site and its configured peers. Throws `LastcallError`: all sites must answer. */
export async function compareConfiguredSites(
  config: Config,
  repair: boolean,
  signal?: AbortSignal,
): Promise<Comparison> {
  const sites = comparisonUrls(config);
  try {
    return await compareSites({ sites, repair, ...(signal && { signal }) });
  } catch (cause) {
    if (cause instanceof ConnectionLost) {
      throw new LastcallError('DATABASE_UNREACHABLE', { cause, details: { message: cause.message } });
    }
    throw translatePostgresError(cause);
  }
}

/** The coordinator's login, for it may beat and repair everywhere; the replicator's where a site has no other. */
function comparisonUrls({ site, postgres, peers }: Config): Map<string, string> {
  return new Map(
    [[site, postgres] as const, ...Object.entries(peers)].map(([name, urls]) => {
      const url = urls.coordinatorUrl ?? urls.replicatorUrl;
      if (url !== null) return [name, url];
      const key = name === site ? 'postgres.coordinatorUrl' : `peers.${name}.coordinatorUrl`;
      throw new LastcallError('INVALID_VALUE', {
        details: { message: `comparing needs ${key} in the configuration` },
      });
    }),
  );
}
