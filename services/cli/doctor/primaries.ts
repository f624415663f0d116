import { hostLabel, hostUrls, identityOf } from '../../../shared/postgres/find-primary.ts';
import type { Config } from '../../../shared/runtime/config.ts';
import { type Finding, ok, warn } from './finding.ts';

const LOOK_MS = 3_000;

/** Rule 28: one server of each site takes writes. Sites whose URL names one host have nothing to tell. */
export async function examinePrimaries({ site, postgres, peers }: Config): Promise<readonly Finding[]> {
  const urls = new Map([[site, postgres.coordinatorUrl ?? postgres.url]]);
  for (const [peer, { coordinatorUrl, replicatorUrl }] of Object.entries(peers)) {
    const url = coordinatorUrl ?? replicatorUrl;
    if (url) urls.set(peer, url);
  }
  return Promise.all([...urls].map(([name, url]) => primariesOf(name, url)));
}

async function primariesOf(site: string, url: string): Promise<Finding> {
  const asked = hostUrls(url).map(async (host) => {
    const identity = await identityOf(host, LOOK_MS).catch(() => null);
    return identity === null ? [] : [{ host: hostLabel(host), ...identity }];
  });
  const found = (await Promise.all(asked)).flat().sort((x, y) => y.timeline - x.timeline);
  return judgePrimaries(site, found);
}

/** Pure: of the servers that take writes, the newest timeline first. */
export function judgePrimaries(
  site: string,
  found: readonly { readonly host: string; readonly timeline: number }[],
): Finding {
  const check = `primaries of site ${site}`;
  const [newest, ...others] = found;
  if (!newest) return warn(check, 'no server takes writes', 'Promote a standby, or start the primary.');
  const detail = `${newest.host} on timeline ${newest.timeline}`;
  if (others.length === 0) return ok(check, detail);
  const rivals = others.map(({ host, timeline }) => `${host} on timeline ${timeline}`).join(', ');
  return warn(
    check,
    `two-primaries: ${detail}, and ${rivals} takes writes as well`,
    'See docs/operations/two-primaries.md: let the coordinator salvage, then stop the older one and rejoin it.',
  );
}
