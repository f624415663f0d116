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
  const sites = replicatorUrls(config);
  try {
    return await compareSites({ sites, repair, ...(signal && { signal }) });
  } catch (cause) {
    if (cause instanceof ConnectionLost) {
      throw new LastcallError('DATABASE_UNREACHABLE', { cause, details: { message: cause.message } });
    }
    throw translatePostgresError(cause);
  }
}

function replicatorUrls({ site, postgres, peers }: Config): Map<string, string> {
  const entries = [[site, postgres.replicatorUrl] as const];
  for (const [peer, { replicatorUrl }] of Object.entries(peers)) entries.push([peer, replicatorUrl] as const);
  return new Map(
    entries.map(([name, url]) => {
      if (url !== null) return [name, url];
      const key = name === site ? 'postgres.replicatorUrl' : `peers.${name}.replicatorUrl`;
      throw new LastcallError('INVALID_VALUE', {
        details: { message: `comparing needs ${key} in the configuration` },
      });
    }),
  );
}
